//! Many tasks on a few threads, behind a progress bar that knows what is left. Start at [`each`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// What the bar says of the tasks.
pub(crate) struct Tasks<'t, T> {
    /// What they are called together.
    pub(crate) noun: &'t str,
    pub(crate) tasks: &'t [T],
    /// Threads; by default as many as there are processors.
    pub(crate) threads: Option<usize>,
}

/// Does each task once, and returns what they came to, in their order. `cost` says what a task will take, in
/// any unit: the bar and its estimate go by it. `done` sees each task as it ends, and returns a line to print, if any.
pub(crate) fn each<T: Sync, R: Send>(
    tasks: &Tasks<'_, T>,
    cost: impl Fn(&T) -> f64,
    run: impl Fn(&T) -> R + Sync,
    done: impl Fn(&T, &R) -> Option<String> + Sync,
) -> Vec<R> {
    let &Tasks { noun, tasks, threads } = tasks;
    // A unit of the bar is a thousandth of the caller's.
    let costs: Vec<u64> = tasks.iter().map(|task| (cost(task) * 1e3) as u64 + 1).collect();
    let order = interleaved(&costs);
    let bar = ProgressBar::new(costs.iter().sum());
    let style = "{elapsed_precise} {bar:30} {percent} %, {eta} left; {msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("a template"));
    bar.enable_steady_tick(Duration::from_secs(1));
    let (next, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads.unwrap_or_else(processors) {
            scope.spawn(|| {
                while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run(&tasks[at]);
                    bar.inc(costs[at]);
                    let ended = ended.fetch_add(1, Ordering::Relaxed) + 1;
                    bar.set_message(format!("{ended} of {} {noun}", tasks.len()));
                    if let Some(line) = done(&tasks[at], &result) {
                        bar.suspend(|| println!("{line}"));
                    }
                    results.lock().expect("nobody panics with it").push((at, result));
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut results = results.into_inner().expect("nobody panics with it");
    results.sort_by_key(|&(at, _)| at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// How many threads there are by default.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// By turns the longest and the shortest of what is left: something ends early on, so that the estimate has something to
/// go by, and what comes last is of middling length, so that no thread is long alone.
fn interleaved(costs: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by_key(|&at| costs[at]);
    let (mut shortest, mut longest) = (0, order.len());
    let mut turns = Vec::new();
    while shortest < longest {
        longest -= 1;
        turns.push(order[longest]);
        if shortest < longest {
            turns.push(order[shortest]);
            shortest += 1;
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_tasks_take_turns() {
        assert_eq!(interleaved(&[5, 1, 4, 2, 3]), [0, 1, 2, 3, 4]);
        assert_eq!(interleaved(&[]), [0; 0]);
    }

    #[test]
    fn each_task_is_done_once_and_results_keep_their_order() {
        let numbers: Vec<u64> = (0..100).collect();
        let tasks = Tasks { noun: "numbers", tasks: &numbers, threads: Some(3) };
        let squares = each(&tasks, |&n| n as f64, |&n| n * n, |_, _| None);
        assert_eq!(squares, numbers.iter().map(|n| n * n).collect::<Vec<_>>());
    }
}
