//! What each setting of a campaign is for: small structures with one mistake each, which it finds and others do not.

use std::time::Duration;

use crash_sim::Model::{Adr, Coherent, PowerLoss};
use crash_sim::{Campaign, Expect, Failure, Model, Oracle, Report, Sim};

type Done = Result<(), String>;

/// What a campaign has found, which must be something.
fn failure(report: &Report) -> &Failure {
    report.failure.as_deref().unwrap_or_else(|| panic!("nothing was found: {report}"))
}

/// An array of words, and their number in a line of its own. What comes next is kept in memory, too.
struct Array {
    sim: Sim,
    next: u64,
}

impl Array {
    fn entry(number: u64) -> u64 {
        64 * (number + 1)
    }

    fn push(&mut self, value: u64) {
        let entry = Array::entry(self.next);
        self.sim.store(entry, value);
        self.sim.persist(entry, 8); // Orders: the entry, then the number that counts it.
        self.sim.store(0, self.sim.load(0) + 1);
        self.sim.persist(0, 8);
        self.next += 1;
    }

    fn values(&self) -> Vec<u64> {
        (0..self.sim.load(0)).map(|number| self.sim.load(Array::entry(number))).collect()
    }
}

/// The mistake: who opens it begins at the start again.
fn array(is_mistaken: bool) -> Campaign<Array> {
    Campaign::new("array", 4096)
        .create(|sim| Ok::<_, String>(Array { sim, next: 0 }))
        .open(move |sim| {
            let next = if is_mistaken { 0 } else { sim.load(0) };
            Ok::<_, String>(Array { sim, next })
        })
        .operations(3, |array, n| Done::Ok(array.push(n as u64 + 10)))
        .model(Vec::new(), |values, n| values.push(n as u64 + 10), |array| array.values())
}

#[test]
fn resume_crashes_the_workload_that_goes_on_behind_a_recovery() {
    for model in [Coherent, Adr] {
        let plain = array(true).explore(model);
        assert!(plain.is_ok() && plain.is_complete(), "recovery itself is right: {plain}");
        let report = array(true).resume(10).explore(model);
        assert_eq!(failure(&report).oracle, Oracle::Atomicity, "{report}");
        assert!(
            failure(&report).case.contains('/'),
            "a crash of the first run, and one of the second: {report}"
        );
        let again = array(true).resume(10).replay(model, &failure(&report).case);
        assert_eq!(failure(&again).message, failure(&report).message);
        array(false).resume(10).explore(model).assert();
    }
}

/// A word, and a copy of it that an opener brings up to date. The mistake: it does not flush the word that it copies,
/// which it may have of a process that was killed before it did.
fn copy(is_mistaken: bool) -> Campaign<Sim> {
    Campaign::new("copy", 4096)
        .create(Ok::<_, String>)
        .open(move |mut sim| {
            if !is_mistaken {
                sim.persist(0, 8); // Orders: the word, then the copy that is made of it.
            }
            sim.store(64, sim.load(0));
            sim.persist(64, 8);
            Ok::<_, String>(sim)
        })
        .operations(2, |sim, n| {
            for offset in [0, 64] {
                sim.store(offset, n as u64 + 1);
                sim.persist(offset, 8);
            }
            Done::Ok(())
        })
        .check(|sim, expect: &Expect| expect.one_of(&[(0, 0), (1, 1), (2, 2)], &(sim.load(0), sim.load(64))))
}

#[test]
fn a_power_cut_after_a_kill_finds_what_recovery_did_not_flush() {
    let plain = copy(true).explore(Adr);
    assert!(plain.is_ok() && plain.is_complete(), "after a power cut there is nothing to flush: {plain}");
    let report = copy(true).kill_before_power_cut().explore(Adr);
    assert_eq!(failure(&report).oracle, Oracle::Durability, "{report}");
    assert!(report.to_string().contains("killed in the workload"), "{report}");
    let again = copy(true).kill_before_power_cut().replay(Adr, &failure(&report).case);
    assert_eq!(failure(&again).message, failure(&report).message);
    let right = copy(false).kill_before_power_cut().explore(Adr);
    right.assert();
    assert!(right.is_complete(), "{right}");
}

/// A mark by which an opener knows that there is something, and what there is. The mistake: the mark comes first.
fn marked(is_mistaken: bool) -> Campaign<Sim> {
    Campaign::new("marked", 4096)
        .create(move |mut sim| {
            let order: [(u64, u64); 2] = if is_mistaken { [(0, 77), (64, 5)] } else { [(64, 5), (0, 77)] };
            for (offset, word) in order {
                sim.store(offset, word);
                sim.persist(offset, 8);
            }
            Ok::<_, String>(sim)
        })
        .open(|sim| if sim.load(0) == 77 { Ok(sim) } else { Err("nothing there".to_owned()) })
        .operations(1, |sim, _| {
            sim.store(64, 6);
            Done::Ok(sim.persist(64, 8))
        })
        .model(5, |word, _| *word += 1, |sim| sim.load(64))
}

#[test]
fn a_creation_is_crashed_if_asked_for() {
    for model in [Coherent, Adr] {
        marked(true).explore(model).assert();
        let report = marked(true).crash_creation().explore(model);
        assert_eq!(
            (failure(&report).oracle, &*failure(&report).message),
            (Oracle::Atomicity, "found 0, expected one of [5]")
        );
        let right = marked(false).crash_creation().explore(model);
        right.assert();
        assert!(right.is_complete() && right.images > marked(false).explore(model).images, "{right}");
    }
}

/// After its creation has returned, a structure may not be refused any more.
#[test]
fn a_refusal_is_found_where_it_is_not_allowed() {
    let forgetful = Campaign::new("forgetful", 4096)
        .create(|mut sim: Sim| {
            sim.store(0, 77);
            Ok::<_, String>(sim)
        })
        .open(|sim| if sim.load(0) == 77 { Ok(sim) } else { Err("nothing there".to_owned()) })
        .operations(0, |_, _| Done::Ok(()))
        .check(|_, _| Done::Ok(()))
        .crash_creation();
    let report = forgetful.explore(Adr);
    assert_eq!(failure(&report).oracle, Oracle::Refused, "{report}");
    forgetful.explore(Coherent).assert();
}

/// Two files in one: data, and a word that commits it, in sectors of their own.
fn two_files(syncs: [bool; 2]) -> Campaign<Sim> {
    Campaign::new("two-files", 8192)
        .create(Ok::<_, String>)
        .open(Ok::<_, String>)
        .operations(2, move |sim, n| -> Result<(), rio::Error> {
            let entry = 4096 + 1024 * n as u64;
            sim.store(entry, n as u64 + 10);
            sim.store(entry + 512, n as u64 + 20);
            if syncs[0] {
                sim.sync()?; // Orders: the data, then the word that commits it.
            }
            sim.store(0, n as u64 + 1);
            if syncs[1] {
                sim.sync()?;
            }
            Ok(())
        })
        .model(
            Vec::new(),
            |values, n| values.extend([n as u64 + 10, n as u64 + 20]),
            |sim| (0..2 * sim.load(0)).map(|half| sim.load(4096 + 512 * half)).collect(),
        )
}

#[test]
fn a_power_loss_keeps_what_was_synced_and_some_of_the_rest() {
    let right = two_files([true, true]).explore(PowerLoss);
    right.assert();
    assert!(right.is_complete(), "{right}");
    let report = two_files([false, true]).explore(PowerLoss);
    assert_eq!(failure(&report).oracle, Oracle::Atomicity, "{report}");
    let report = two_files([true, false]).explore(PowerLoss);
    assert_eq!(failure(&report).oracle, Oracle::Durability, "{report}");
    // The page cache of a killed process needs no sync.
    two_files([false, false]).explore(Coherent).assert();
}

/// A structure whose recovery does something when a crash has left its only word at 1.
fn recovering(recover: impl Fn(&mut Sim) + 'static) -> Campaign<Sim> {
    Campaign::new("recovering", 4096)
        .create(Ok::<_, String>)
        .open(move |mut sim| {
            if sim.load(0) == 1 {
                recover(&mut sim);
            }
            Ok::<_, String>(sim)
        })
        .operations(1, |sim, _| {
            sim.store(0, 1);
            sim.persist(0, 8);
            sim.store(0, 2);
            Done::Ok(sim.persist(0, 8))
        })
        .check(|_, _| Done::Ok(()))
}

#[test]
fn a_recovery_that_does_not_end_is_given_up() {
    let endless = recovering(|sim| {
        for number in 0.. {
            sim.store(8, number);
        }
    });
    let report = endless.events_max(1000).explore(Coherent);
    assert_eq!(failure(&report).oracle, Oracle::Panic, "{report}");
    assert!(failure(&report).message.contains("does not end"), "{report}");
}

#[test]
fn a_panic_of_recovery_is_a_failure_with_its_words_and_its_place() {
    let report = recovering(|_| panic!("nobody expected this")).explore(Coherent);
    assert_eq!(failure(&report).oracle, Oracle::Panic, "{report}");
    assert!(failure(&report).message.contains("nobody expected this"), "{report}");
    assert!(failure(&report).message.contains("promises.rs"), "{report}");
}

#[test]
fn a_panic_of_the_check_is_a_failure() {
    let report = recovering(|_| ())
        .check(|sim, _| Done::Ok(assert_ne!(sim.load(0), 1, "a word that should not be")))
        .explore(Adr);
    assert_eq!(failure(&report).oracle, Oracle::Panic, "{report}");
    assert!(failure(&report).message.contains("a word that should not be"), "{report}");
}

/// What is caught is not printed: a campaign may meet thousands of panics. Seen from outside, in a process of its own.
#[test]
fn a_panic_that_is_caught_is_not_printed() {
    const INSIDE: &str = "CRASH_SIM_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let report = recovering(|_| panic!("nobody expected this")).keep_going().explore(Coherent);
        println!("failures: {}", report.failures);
        return;
    }
    let name = "promises::a_panic_that_is_caught_is_not_printed";
    let inside = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let [out, err] = [inside.stdout, inside.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(out.contains("failures: 1"), "{out}{err}");
    assert!(!out.contains("nobody expected") && !err.contains("nobody expected"), "{out}{err}");
}

/// A workload that fails without a crash is no crash test.
#[test]
fn an_operation_that_fails_is_a_failure_of_the_workload() {
    for wrong in [|| Err("no room".to_owned()), || -> Done { panic!("no room") }] {
        let report = recovering(|_| ()).operations(1, move |_, _| wrong()).explore(Coherent);
        assert_eq!(failure(&report).oracle, Oracle::Workload, "{report}");
        assert!(failure(&report).message.contains("no room"), "{report}");
    }
}

/// Many lines under way at once: more combinations than anybody tries.
fn wide() -> Campaign<Sim> {
    const LINES: u64 = 20;
    Campaign::new("wide", 4096)
        .create(Ok::<_, String>)
        .open(Ok::<_, String>)
        .operations(1, |sim, _| {
            (1..=LINES).for_each(|line| sim.store(64 * line, line));
            sim.persist(64, 64 * LINES); // Orders: the lines, then the word that says so.
            sim.store(0, 1);
            Done::Ok(sim.persist(0, 8))
        })
        .model(
            0,
            |sum, _| *sum = (1..=LINES).sum(),
            |sim| if sim.load(0) == 1 { (1..=LINES).map(|line| sim.load(64 * line)).sum() } else { 0 },
        )
}

#[test]
fn what_was_only_sampled_is_told() {
    let report = wide().eager(1000).samples(100).explore(Adr);
    report.assert();
    assert!(!report.is_complete() && report.uncovered > (1 << 20) - 1000, "{report}");
    assert!(report.images > 100 && report.images < 300, "{report}");
    assert!(report.to_string().contains("of the combinations were not tried"), "{report}");
    assert!(wide().eager(1 << 20).explore(Adr).is_complete());
}

/// Nobody reads the lines before the word is there, and then nothing of them is open.
#[test]
fn what_nobody_reads_needs_no_combinations() {
    let report = wide().lazy().explore(Adr);
    report.assert();
    assert!(report.is_complete() && report.images < 10, "{report}");
}

#[test]
fn a_limit_of_images_leaves_some_and_says_so() {
    let report = wide().images_max(50).explore(Adr);
    report.assert();
    assert!(!report.is_complete() && report.left > 0 && report.images == 50, "{report}");
    assert!(report.to_string().contains("images are left"), "{report}");
}

/// A third of all images is wrong, all of it behind the first two thirds of the workload.
#[test]
fn a_limit_of_images_looks_at_all_of_the_workload() {
    let campaign = || {
        Campaign::new("late mistake", 64 << 10)
            .create(Ok::<_, String>)
            .open(Ok::<_, String>)
            .operations(300, |sim, n| Done::Ok(sim.store(8 * n as u64, 1)))
            .check(|sim, _| if sim.load(8 * 200) == 1 { Err("the 201st operation") } else { Ok(()) })
    };
    let kept_going = campaign().images_max(40).keep_going().explore(Coherent);
    assert!((3..=30).contains(&kept_going.failures), "{kept_going}");
    assert_eq!(kept_going.images, 40, "{kept_going}");
    let images = campaign().keep_going().explore(Coherent).images;
    assert_eq!(kept_going.images + kept_going.left, images, "what is left is counted: {kept_going}");
}

#[test]
fn a_limit_of_time_leaves_some_and_says_so() {
    let late = array(true).resume(10).time_max(Duration::ZERO).explore(Coherent);
    assert!(late.is_ok() && late.is_out_of_time && !late.is_complete(), "{late}");
    assert!(late.recoveries == 0 && late.left == late.images && late.uncovered > 0, "{late}");
    assert!(late.to_string().contains("out of time"), "{late}");
    let whole = array(false).time_max(Duration::from_secs(3600)).explore(Coherent);
    assert!(!whole.is_out_of_time && whole.is_complete(), "{whole}");
}

#[test]
fn all_failures_are_counted_if_it_keeps_going() {
    let report = array(true).resume(10).keep_going().explore(Coherent);
    assert!(report.failures > 1, "{report}");
    assert_eq!(report.left, 0, "{report}");
}

/// Equal campaigns find equal things, whatever else runs.
#[test]
fn a_campaign_is_deterministic() {
    let figures = |model: Model| {
        let report = array(false).resume(5).explore(model);
        (report.events, report.points, report.images, report.levels, report.recoveries)
    };
    for model in [Coherent, Adr, PowerLoss] {
        assert_eq!(figures(model), figures(model));
    }
}
