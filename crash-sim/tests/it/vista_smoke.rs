use crash_sim::{Campaign, Expect, Model, Sim};
use vista::Segment;

fn campaign() -> Campaign<Segment<[u64; 8], Sim>> {
    Campaign::new("counters", 64 << 10)
        .create(|sim| Segment::<[u64; 8], Sim>::create_on(sim, 4096))
        .open(|sim| Segment::<[u64; 8], Sim>::open_on(sim))
        .operations(2, |s, n| {
            s.transaction(|tx| -> vista::Result<()> {
                let root = tx.root_mut()?;
                root[0] = n as u64 + 1;
                root[7] = n as u64 + 1;
                Ok(())
            })
        })
        .check(|s, e: &Expect| {
            let r = s.root().unwrap();
            e.one_of(&[(0, 0), (1, 1), (2, 2)], &(r[0], r[7]))
        })
}

#[test]
fn coherent() {
    let r = campaign().explore(Model::Coherent);
    println!("{r}");
    r.assert();
}
#[test]
fn adr() {
    let r = campaign().explore(Model::Adr);
    println!("{r}");
    r.assert();
    let r = campaign().resume(50).explore(Model::Adr);
    println!("{r}");
    r.assert();
    let r = campaign().kill_before_power_cut().images_max(200_000).explore(Model::Adr);
    println!("{r}");
    r.assert();
}
