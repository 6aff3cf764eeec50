//! `carstone store` where a wrong step would cost something.

use std::fs;

use crate::support::web::Web;
use crate::support::{Place, noise, small_tree};

fn place() -> (Place, String) {
    let place = Place::new();
    let store = place.path("carstone-store").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "init").exits(0);
    (place, store)
}

#[test]
fn a_store_is_not_put_into_itself() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let alone = run!("store", "--store", &store, "put", place.path("tree")).exits(0).lines();
    let all = run!("store", "--store", &store, "put", place.dir.path()).exits(0);
    let all = all.says("is not packed").lines().remove(0);
    let listed = run!("store", "--store", &store, "ls", &all).exits(0).lines();
    assert!(listed.iter().all(|path| !path.starts_with("carstone-store")), "{listed:?}");
    assert!(listed.contains(&"tree/hello.txt".to_owned()), "{listed:?}");
    // However often it is put, nothing of the store comes in.
    let again = run!("store", "--store", &store, "put", "-q", place.dir.path()).exits(0).lines();
    assert_eq!(again, [all]);
    run!("store", "--store", &store, "put", &store).exits(2).says("is the store itself");
    let roots = run!("store", "--store", &store, "ls").exits(0).lines();
    assert_eq!(roots.len(), 2);
    assert!(roots.contains(&alone[0]));
}

#[test]
fn not_everything_goes_by_itself() {
    let (place, store) = place();
    let file = place.write("file", &noise(100_000, 1));
    let root = run!("store", "--store", &store, "put", "-q", &file).exits(0).lines().remove(0);
    fs::remove_dir_all(place.path("carstone-store/roots")).expect("removed");
    run!("store", "--store", &store, "check").exits(0).says("No root is noted");
    let refused =
        "no root is noted, so that all packs would go; `carstone store index rebuild --roots`";
    run!("store", "--store", &store, "gc", "--grace", "0", "-n").exits(2).says(refused);
    run!("store", "--store", &store, "gc", "--grace", "0").exits(2).says(refused);
    assert_eq!(run!("store", "--store", &store, "cat", &root).exits(0).stdout, noise(100_000, 1));
    run!("store", "--store", &store, "index", "rebuild", "--roots").exits(0);
    assert!(run!("store", "--store", &store, "gc", "--grace", "0").exits(0).lines().is_empty());
    run!("store", "--store", &store, "rm", &root).exits(0);
    run!("store", "--store", &store, "gc", "--grace", "0").exits(2).says("--no-roots");
    let gone = run!("store", "--store", &store, "gc", "--grace", "0", "--no-roots").exits(0);
    assert_eq!(gone.lines().len(), 1);
    // Where there is nothing, there is nothing to lose.
    run!("store", "--store", &store, "gc", "--grace", "0").exits(0);
}

#[test]
fn keys_of_others_are_no_damage() {
    let (place, store) = place();
    let (key, _) = (place.key("own.txt"), place.key("other.txt"));
    let file = place.write("file", &noise(3_000_000, 1));
    let put =
        run!("store", "--store", &store, "put", "-q", "--pack-size", "1100K", "-r", key, &file);
    let root = put.exits(0).lines().remove(0);
    let other = place.path("other.txt");
    run!("store", "--store", &store, "check", "--read-data", "-i", &other).exits(0);
    run!("store", "--store", &store, "index", "rebuild", "-i", &other).exits(0);
    run!("store", "--store", &store, "index", "rebuild", "--roots", "-i", &other).exits(0);
    run!("store", "--store", &store, "heal", "-i", &other).exits(0);
    let told = run!("store", "--store", &store, "cat", "-i", &other, &root).exits(2);
    told.says("no key at hand opens it");
    let cat = run!("store", "--store", &store, "cat", "-i", place.path("own.txt"), &root).exits(0);
    assert_eq!(cat.stdout, noise(3_000_000, 1));
}

#[test]
fn what_is_missing_is_named() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    run!("store", "--store", &store, "put", "-q", place.path("tree")).exits(0);
    for missing in [
        "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
    ] {
        let named = format!("block {missing} is not in the store");
        run!("store", "--store", &store, "get", missing, "-o", place.path("x"))
            .exits(2)
            .says(&named);
        run!("store", "--store", &store, "cat", missing).exits(2).says(&named);
        assert!(!place.path("x").exists());
    }
}

#[test]
fn a_cache_that_cannot_be_is_none() {
    let (place, store) = place();
    let file = place.write("file", &noise(100_000, 1));
    let root = run!("store", "--store", &store, "put", "-q", &file).exits(0).lines().remove(0);
    run!("store", "--store", &store, "publish").exits(0);
    let web = Web::serve(place.dir.path().to_owned());
    let url = format!("{}/carstone-store", web.url());
    let cat = run!("store", "--store", &url, "--index-cache", &file, "cat", &root).exits(0);
    assert_eq!(cat.says("the index is not kept there").stdout, noise(100_000, 1));
}

#[test]
fn what_says_that_it_is_a_store_is_taken_word_by_word() {
    let (place, store) = place();
    let mark = place.path("carstone-store/carstone-store.json");
    for (text, told) in [
        ("{\"nested\":false,\"version\":1,\"sealed\":true}", "carstone-store.json: sealed"),
        ("{\"nested\":false,\"version\":2}", "later version"),
        ("{\"version\":1}", "carstone-store.json: nested"),
        ("{", "carstone-store.json"),
    ] {
        fs::write(&mark, text).expect("written");
        run!("store", "--store", &store, "ls").exits(2).says(told);
    }
}
