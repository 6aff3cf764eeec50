//! `carstone store` with parity beside packs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Place, noise};

/// A store, and a file that was put into it with parity.
fn protected() -> (Place, String, String) {
    let place = Place::new();
    let store = place.path("carstone-store").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "init").exits(0);
    let file = place.write("file", &noise(3_000_000, 1));
    let put = run!("store", "--store", &store, "put", "--parity", "--pack-size", "1100K", &file);
    let root = put.exits(0).says("of parity beside them").lines().remove(0);
    (place, store, root)
}

/// The files of a store's packs with this ending, in order.
fn packs(store: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(store).join("packs")).expect("listed");
    let paths = entries.map(|entry| entry.expect("listed").path());
    let mut found: Vec<_> =
        paths.filter(|path| path.to_str().is_some_and(|path| path.ends_with(ending))).collect();
    found.sort_unstable();
    found
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("read");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_damaged_pack_is_healed_by_its_parity() {
    let (_place, store, root) = protected();
    let (cars, sidecars) = (packs(&store, ".car"), packs(&store, ".car.par"));
    assert!(cars.len() > 2, "{cars:?}");
    for (car, sidecar) in cars.iter().zip(&sidecars) {
        assert_eq!(format!("{}.par", car.display()), sidecar.display().to_string());
        let [car, sidecar] = [car, sidecar].map(|path| fs::metadata(path).expect("there").len());
        assert!(sidecar * 10 <= car, "{sidecar} beside {car}");
    }
    let count = cars.len();
    let check = || run!("store", "--store", &store, "check", "--read-data");
    let run = check().exits(0);
    assert!(run.text().contains(&format!("{count} packs, {count} with parity")), "{}", run.text());
    let whole = fs::read(&cars[0]).expect("read");
    damage(&cars[0], |bytes| bytes[300_000..360_000].fill(0));
    damage(&cars[1], |bytes| drop(bytes.drain(5000..5003)));
    check().exits(1).says("`store heal` restores it by its parity");
    let told = run!("store", "--store", &store, "--json", "check", "--read-data").exits(1).json();
    let is_restorable = |line: &&serde_json::Value| line["restorable"] == true;
    assert_eq!(told.iter().filter(is_restorable).count(), 2, "{told:?}");
    let healed = run!("store", "--store", &store, "--json", "heal").exits(0).json();
    let by_parity = healed.iter().filter(|line| line["by_parity"] == true).count();
    let summary = healed.last().expect("a summary");
    assert_eq!((by_parity, &summary["packs"], &summary["by_parity"]), (2, &2.into(), &2.into()));
    assert_eq!(fs::read(&cars[0]).expect("read"), whole);
    check().exits(0);
    let content = run!("store", "--store", &store, "cat", &root).exits(0).stdout;
    assert!(content == noise(3_000_000, 1), "the file is what it was");
}

#[test]
fn an_encrypted_pack_is_healed_without_a_key() {
    let place = Place::new();
    let recipient = place.key("key.txt");
    let store = place.path("carstone-store").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "init").exits(0);
    let file = place.write("file", &noise(500_000, 2));
    run!("store", "--store", &store, "put", "--parity=20%", "-r", &recipient, &file).exits(0);
    // Nobody has the key any more.
    fs::remove_file(place.path("key.txt")).expect("removed");
    let car = packs(&store, ".car").remove(0);
    let whole = fs::read(&car).expect("read");
    damage(&car, |bytes| bytes[100_000..180_000].fill(1));
    run!("store", "--store", &store, "heal").exits(0).says("1 of them by their parity");
    assert!(fs::read(&car).expect("read") == whole, "byte for byte");
    damage(&packs(&store, ".par")[0], |bytes| bytes[5000..7000].fill(1));
    run!("store", "--store", &store, "check", "--read-data").exits(1).says("bad parity");
}

#[test]
fn over_the_budget_it_is_told_and_nothing_is_changed() {
    let (_place, store, _) = protected();
    let car = packs(&store, ".car").remove(0);
    damage(&car, |bytes| bytes[100_000..300_000].fill(0));
    let damaged = fs::read(&car).expect("read");
    let check = run!("store", "--store", &store, "check", "--read-data").exits(1);
    check.says("its parity does not restore it");
    run!("store", "--store", &store, "heal").exits(1).says("is not put right");
    assert!(fs::read(&car).expect("read") == damaged, "it is as it was");
}

#[test]
fn parity_is_put_beside_packs_later_and_goes_with_them() {
    let place = Place::new();
    let store = place.path("carstone-store").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "init").exits(0);
    let file = place.write("file", &noise(300_000, 3));
    let put = || run!("store", "--store", &store, "put", "-q", &file).exits(0).lines().remove(0);
    let root = put();
    assert!(packs(&store, ".par").is_empty());
    let made = run!("store", "--store", &store, "protect", "--parity", "2.5").exits(0).lines();
    assert_eq!((made.len(), packs(&store, ".par").len()), (1, 1));
    assert!(run!("store", "--store", &store, "protect").exits(0).says("1 were").lines().is_empty());
    // Damaged parity is told, and made again as it was.
    let sidecar = packs(&store, ".par").remove(0);
    let whole = fs::read(&sidecar).expect("read");
    damage(&sidecar, |bytes| bytes.truncate(bytes.len() / 2));
    run!("store", "--store", &store, "check", "--read-data").exits(1).says("bad parity");
    run!("store", "--store", &store, "heal").exits(0).says("parity of 1 packs made again");
    assert!(fs::read(&sidecar).expect("read") == whole, "as it was");
    let stats = run!("store", "--store", &store, "--json", "stats").exits(0).json().remove(0);
    assert_eq!(stats["sidecars"], 1);
    assert_eq!(stats["sidecar_bytes"], whole.len());
    // A copy has it, and where the pack goes it goes.
    let other = place.path("other").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "copy", &other).exits(0).says("parity of 1 packs copied");
    assert!(fs::read(packs(&other, ".par").remove(0)).expect("read") == whole, "the same");
    // One that is damaged is made anew there.
    damage(&sidecar, |bytes| bytes[3000..5000].fill(0));
    let third = place.path("third").to_str().expect("text").to_owned();
    let copied = run!("store", "--store", &store, "--json", "copy", &third).exits(0);
    let told = copied.says("made anew in the copy").json().pop().expect("a summary");
    assert_eq!((&told["sidecars_made"], &told["sidecars_left_out"]), (&1.into(), &0.into()));
    assert!(fs::read(packs(&third, ".par").remove(0)).expect("read") == whole, "as it was");
    run!("store", "--store", &store, "rm", &root).exits(0);
    let gone = run!("store", "--store", &store, "gc", "--grace", "0", "--no-roots").exits(0);
    gone.says("parity of 1 packs removed");
    assert!(packs(&store, "").is_empty());
    run!("store", "--store", &store, "put", "--parity=0.5", &file)
        .exits(2)
        .says("a share is 1% to 100%");
}
