//! Real processes are killed, what a right structure promises holds, and what a wrong one leaves is found.

use std::time::Duration;

use crash_sim::{Campaign, Expect, KillMoment, KillOptions, KillReport, Oracle, Sim};
use rio::{HEADER_LEN, Medium};
use vista::Segment;

type Counters = Segment<[u64; 8], Sim>;

/// Counters that are always equal, in a segment.
fn counters(name: &str) -> Campaign<Counters> {
    Campaign::new(name, 64 << 10)
        .create(|sim| Counters::create_on(sim, 4096))
        .open(Counters::open_on)
        .operations(40, |segment, number| {
            segment.transaction(|tx| -> vista::Result<()> {
                let root = tx.root_mut()?;
                root.fill(number as u64 + 1);
                Ok(())
            })
        })
        .close(Counters::close)
        .model([0; 8], |root, number| *root = [number as u64 + 1; 8], |segment| *segment.root().unwrap())
}

const FIRST: u64 = HEADER_LEN;
const SECOND: u64 = HEADER_LEN + 64;

/// Two words that should be equal, without a log.
fn words(name: &str) -> Campaign<Sim> {
    Campaign::new(name, 16 << 10)
        .create(|sim: Sim| Ok::<_, String>(sim))
        .open(|sim: Sim| Ok::<_, String>(sim))
        .operations(10, |sim, number| {
            sim.store(FIRST, number as u64 + 1);
            sim.persist(FIRST, 8);
            sim.store(SECOND, number as u64 + 1);
            sim.persist(SECOND, 8);
            Ok::<_, String>(())
        })
        .check(|sim, expect: &Expect| {
            let states: Vec<_> = (0..=10).map(|n| (n, n)).collect();
            expect.one_of(&states, &(sim.load(FIRST), sim.load(SECOND)))
        })
}

fn counted(report: &KillReport) -> Vec<KillMoment> {
    report.kills.iter().filter(|kill| kill.is_counted()).cloned().collect()
}

#[test]
fn a_segment_survives_kills_by_the_clock_at_counted_moments_and_in_recovery() {
    let report = counters("counters").kill(&KillOptions::new());
    report.assert();
    println!("{report}");
    assert_eq!(report.rounds, 12);
    assert!(report.random_kills() >= 4 && report.counted_kills() >= 8, "{report}");
    assert!(report.recovery_kills() > 0, "{report}");
    assert!(report.acknowledged >= 20, "{report}");
    assert!(report.found_before > 0, "{report}");
}

#[test]
fn the_creation_is_killed_as_well() {
    let report = counters("creation").crash_creation().kill(&KillOptions::new().rounds(10).seed(3));
    report.assert();
    assert!(report.kills.iter().any(|kill| matches!(kill, KillMoment::Creation { .. })), "{report}");
}

#[test]
fn a_growing_medium_is_killed_too() {
    let report = Campaign::new("growth", 16 << 10)
        .capacity(1 << 20)
        .create(|sim: Sim| Ok::<_, String>(sim))
        .open(|sim: Sim| Ok::<_, String>(sim))
        .operations(8, |sim, number| {
            let len = (16 << 10) + 4096 * (number as u64 + 1);
            sim.grow(len)?;
            sim.store(FIRST, number as u64 + 1);
            sim.persist(FIRST, 8);
            Ok::<_, rio::Error>(())
        })
        .check(|sim, expect: &Expect| {
            let done = sim.load(FIRST);
            let is_grown = sim.len() >= (16 << 10) + 4096 * done;
            if !is_grown {
                return Err(format!("{} bytes after {done} growths", sim.len()).into());
            }
            expect.one_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8], &done)
        })
        .kill(&KillOptions::new().rounds(6));
    report.assert();
}

#[test]
fn the_same_seed_comes_to_the_same_counted_moments() {
    let campaign = counters("same seed");
    let run = |seed| campaign.kill(&KillOptions::new().rounds(6).seed(seed));
    let (first, second, other) = (run(5), run(5), run(6));
    assert!(first.is_ok() && second.is_ok() && other.is_ok(), "{first}\n{second}\n{other}");
    assert_eq!(counted(&first), counted(&second));
    assert_ne!(counted(&first), counted(&other));
}

#[test]
fn a_structure_without_a_log_is_caught_and_its_round_fails_again() {
    let campaign = words("no log");
    let report = campaign.kill(&KillOptions::new().rounds(30).seed(2));
    let failure = report.failures.first().unwrap_or_else(|| panic!("nothing was caught: {report}"));
    assert_eq!(failure.oracle, Oracle::Atomicity, "{report}");
    let round = failure.round.unwrap();
    let case = format!("CRASH_SIM_REPLAY='no log:kill:2.{round}' ");
    assert!(failure.replay.starts_with(&case), "{}", failure.replay);
    assert!(failure.kills.last().is_some_and(KillMoment::is_counted), "{report}");

    let again = campaign.kill(&KillOptions::new().replay(2, round));
    let second = again.failures.first().unwrap_or_else(|| panic!("it does not fail again: {again}"));
    assert_eq!((second.round, &second.message), (Some(round), &failure.message));
    println!("{again}");
}

#[test]
#[ignore = "fails on purpose: the test below runs it by its replay line"]
fn fails_on_purpose() {
    words("on purpose").kill(&KillOptions::new().rounds(30).seed(2)).assert();
}

#[test]
fn a_replay_line_runs_the_round_again() {
    let run = |case: Option<&str>| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["kill::fails_on_purpose", "--exact", "--ignored", "--nocapture"]);
        if let Some(case) = case {
            command.env("CRASH_SIM_REPLAY", case);
        }
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let first = run(None);
    let case = first.split_once("CRASH_SIM_REPLAY='").and_then(|(_, rest)| rest.split_once('\''));
    let (case, _) = case.unwrap_or_else(|| panic!("no replay line: {first}"));
    assert!(case.starts_with("on purpose:kill:2."), "{case}");
    assert!(run(Some(case)).contains(case));
}

#[test]
#[ignore = "takes some seconds"]
fn a_segment_survives_a_thousand_rounds() {
    let report = counters("thousand").kill(&KillOptions::new().rounds(1000).seed(9));
    println!("{report}");
    report.assert();
}

#[test]
fn an_acknowledgement_that_was_not_earned_is_caught() {
    // What was done is written a whole operation late.
    let report = words("late")
        .operations(10, |sim, number| {
            sim.store(FIRST, number as u64);
            Ok::<_, String>(())
        })
        .model(0, |done, _| *done += 1, |sim| sim.load(FIRST))
        .kill(&KillOptions::new());
    let failure = report.failures.first().unwrap_or_else(|| panic!("nothing was caught: {report}"));
    assert_eq!(failure.oracle, Oracle::Durability, "{report}");
}

#[test]
fn a_recovery_that_cannot_be_repeated_is_caught_by_a_kill_of_it() {
    // Two words that should be equal, with an undo log of one word, which is emptied before what it holds is restored.
    const LOG: u64 = HEADER_LEN + 128;
    let report = words("log first")
        .open(|mut sim: Sim| {
            let undo = sim.load(LOG);
            if undo != 0 {
                sim.store(LOG, 0);
                sim.store(FIRST, undo - 1);
                sim.store(SECOND, undo - 1);
            }
            Ok::<_, String>(sim)
        })
        .operations(10, |sim, number| {
            sim.store(LOG, number as u64 + 1);
            sim.store(FIRST, number as u64 + 1);
            sim.store(SECOND, number as u64 + 1);
            sim.store(LOG, 0);
            Ok::<_, String>(())
        })
        .kill(&KillOptions::new().rounds(60));
    let failure = report.failures.first().unwrap_or_else(|| panic!("nothing was caught: {report}"));
    assert_eq!(failure.oracle, Oracle::Atomicity, "{report}");
    assert!(matches!(failure.kills.last(), Some(KillMoment::Recovery { .. })), "{report}");
}

/// Where a child of the test below writes its process id.
const PID_FILE: &str = "CRASH_SIM_TEST_PID_FILE";

#[test]
#[ignore = "does not end: the test below runs it, and ends it"]
fn hangs_on_purpose() {
    let hanging = words("hangs").operations(10, |_, _| -> Result<(), String> {
        std::fs::write(std::env::var(PID_FILE).unwrap(), std::process::id().to_string()).unwrap();
        loop {
            std::thread::park();
        }
    });
    hanging.kill(&KillOptions::new().time_limit(Duration::from_secs(1000)));
}

#[cfg(target_os = "linux")]
#[test]
fn no_child_outlives_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["kill::hangs_on_purpose", "--exact", "--ignored", "--nocapture"]);
    command.env(PID_FILE, &file).env("TMPDIR", dir.path());
    let mut parent = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let pid = wait_for(|| std::fs::read_to_string(&file).ok().filter(|pid| !pid.is_empty()));
    parent.kill().unwrap();
    parent.wait().unwrap();
    // A process that has ended has no memory any more, though nobody may have asked for its end yet.
    let has_ended =
        || std::fs::read_to_string(format!("/proc/{pid}/maps")).map_or(true, |maps| maps.is_empty());
    wait_for(|| has_ended().then_some(()));
}

/// What comes in the end, within ten seconds.
fn wait_for<R>(look: impl Fn() -> Option<R>) -> R {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_recovery_that_waits_for_the_dead_is_reported_as_hanging() {
    const LOCK: u64 = HEADER_LEN + 128;
    let report = words("lock")
        .open(|sim: Sim| {
            while sim.load(LOCK) != 0 {
                std::thread::yield_now(); // Whoever holds it will surely let go.
            }
            Ok::<_, String>(sim)
        })
        .operations(10, |sim, number| {
            sim.store(LOCK, 1);
            sim.store(FIRST, number as u64 + 1);
            sim.store(SECOND, number as u64 + 1);
            sim.store(LOCK, 0);
            Ok::<_, String>(())
        })
        .kill(&KillOptions::new().rounds(20).time_limit(Duration::from_secs(1)));
    let failure = report.failures.first().unwrap_or_else(|| panic!("nothing was caught: {report}"));
    assert!(failure.message.contains("hangs in the recovery"), "{report}");
    assert!(failure.replay.contains("'lock:kill:1."), "{report}");
}

#[test]
fn a_workload_that_fails_without_a_kill_is_not_blamed_on_one() {
    let report = words("panics")
        .operations(10, |_, number| if number == 3 { panic!("no more") } else { Ok::<_, String>(()) })
        .kill(&KillOptions::new());
    let failure = report.failures.first().unwrap();
    assert_eq!((failure.oracle, failure.round), (Oracle::Workload, None), "{report}");
    assert!(failure.message.contains("operation 3 panicked: no more"), "{report}");
}

#[test]
fn what_the_system_refuses_is_skipped_and_not_passed() {
    let report = counters("refused").kill(&KillOptions::new().dir("/nowhere/at/all"));
    assert!(report.skipped.is_some() && !report.is_ok(), "{report}");
    report.assert();
}

#[test]
fn a_thread_without_a_name_needs_a_command() {
    let ran = std::thread::spawn(|| counters("no command").kill(&KillOptions::new())).join();
    let panic = ran.unwrap_err();
    let message = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(message.contains("give the command that comes here again"), "{message}");
}

#[test]
fn a_program_that_does_not_come_to_the_campaign_is_told_so() {
    let command = vec!["true".to_owned()];
    let report = counters("true").kill(&KillOptions::new().command(command));
    let failure = report.failures.first().unwrap();
    assert!(failure.message.contains("did not come to this campaign"), "{report}");
}

#[test]
fn progress_is_told_behind_each_round() {
    use std::cell::RefCell;
    use std::rc::Rc;
    let rounds = Rc::new(RefCell::new(Vec::new()));
    let seen = rounds.clone();
    let options = KillOptions::new().rounds(3).progress(move |report| seen.borrow_mut().push(report.rounds));
    counters("progress").kill(&options).assert();
    assert_eq!(*rounds.borrow(), [1, 2, 3]);
}
