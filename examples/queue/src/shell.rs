//! The queue by lines of text: one line asks, one line answers. The queue stays open in between, which is quick, and keeps
//! others out.
//!
//! | line | answer |
//! |---|---|
//! | `push TEXT` | `pushed ID` |
//! | `take MILLIS` | `taken ID ATTEMPT TEXT`, or `nothing` |
//! | `ack ID [ATTEMPT]` | `acked ID` |
//! | `nack ID DELAY-MILLIS [REASON]` | `again ID`, or `dead ID` |
//! | `extend ID MILLIS` | `extended ID` |
//! | `requeue ID` | `requeued ID` |
//! | `stats` | the numbers, as JSON |
//! | anything that cannot be done | `refused` and the reason |
//!
//! An answer is written behind the commit: what it tells is so after a crash.

use std::io::{BufRead, Write};
use std::str::{FromStr, SplitWhitespace};

use vista::rio::Medium;

use crate::{Error, Fate, Queue, Receipt, Result, now};

/// Answers lines until there are no more.
///
/// # Errors
/// What reading or writing a line meets. What the queue refuses is an answer.
pub fn run<M: Medium>(queue: &mut Queue<M>, input: impl BufRead, mut output: impl Write) -> Result<()> {
    let system = |what: &str| {
        let what = what.to_owned();
        move |source| Error::System { what, source }
    };
    for line in input.lines() {
        let line = line.map_err(system("read a line"))?;
        let answer = answer(queue, &line).unwrap_or_else(|error| format!("refused: {error}"));
        writeln!(output, "{answer}").and_then(|()| output.flush()).map_err(system("write an answer"))?;
    }
    Ok(())
}

fn answer<M: Medium>(queue: &mut Queue<M>, line: &str) -> Result<String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = rest.split_whitespace();
    let wrong = || Ok(format!("refused: not understood: {verb}"));
    Ok(match verb {
        "push" => format!("pushed {}", queue.push(rest.as_bytes())?),
        "take" => {
            let Some(visibility) = number(&mut words) else { return wrong() };
            match queue.take(visibility, now())? {
                Some(job) => {
                    let text = String::from_utf8_lossy(&job.payload).replace('\n', " ");
                    format!("taken {} {} {text}", job.id, job.attempt)
                }
                None => "nothing".to_owned(),
            }
        }
        "ack" => {
            let Some(id) = number(&mut words) else { return wrong() };
            queue.ack(Receipt { id, attempt: number(&mut words) })?;
            format!("acked {id}")
        }
        "nack" => {
            let (Some(id), Some(delay)) = (number::<u64>(&mut words), number(&mut words)) else {
                return wrong();
            };
            let reason = words.collect::<Vec<_>>().join(" ");
            match queue.nack(id, delay, &reason, now())? {
                Fate::Again(_) => format!("again {id}"),
                Fate::Dead => format!("dead {id}"),
            }
        }
        "extend" => {
            let (Some(id), Some(visibility)) = (number::<u64>(&mut words), number(&mut words)) else {
                return wrong();
            };
            queue.extend(id, visibility, now())?;
            format!("extended {id}")
        }
        "requeue" => {
            let Some(id) = number(&mut words) else { return wrong() };
            queue.requeue(id, now())?;
            format!("requeued {id}")
        }
        "stats" => serde_json::json!(queue.stats()?).to_string(),
        _ => return wrong(),
    })
}

fn number<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}
