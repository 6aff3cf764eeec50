//! `carstone store` and what others have of a store: one that is read over HTTP, and its index in the forms of others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::web::Web;
use crate::support::{Place, look, noise, small_tree};

/// A place with a store of a tree and a file in several packs, and their roots.
fn stored() -> (Place, String, [String; 2]) {
    let place = Place::new();
    let store = place.path("store").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "init").exits(0);
    small_tree(&place.path("tree"));
    let file = place.write("big", &noise(3_000_000, 1));
    let put =
        run!("store", "--store", &store, "put", "--pack-size", "1100K", place.path("tree"), file);
    let roots = put.exits(0).lines();
    let [tree, big] = &roots[..] else { panic!("{roots:?}") };
    let roots = [tree.clone(), big.clone()];
    (place, store, roots)
}

#[test]
fn a_published_store_is_read_over_http() {
    let (place, store, [tree, big]) = stored();
    let content = noise(3_000_000, 1);
    let web = Web::serve(place.dir.path().to_owned());
    let url = format!("{}/store", web.url());
    let told = run!("store", "--store", &url, "ls").exits(2);
    told.says(&url).says("`carstone store publish`");
    let told = run!("store", "--store", &store, "--json", "publish").exits(0).json();
    assert_eq!((&told[0]["roots"], &told[0]["segments"]), (&2.into(), &2.into()));

    let mut listed = run!("store", "--store", &url, "ls").exits(0).lines();
    listed.sort();
    let mut due = vec![tree.clone(), big.clone()];
    due.sort();
    assert_eq!(listed, due);
    assert_eq!(run!("store", "--store", &url, "cat", &big).exits(0).stdout, content);
    let part = run!("store", "--store", &url, "cat", "--range", "1048570-1048590", &big).exits(0);
    assert_eq!(part.stdout, content[1_048_570..=1_048_590]);
    let out = place.path("out");
    run!("store", "--store", &url, "get", &big, "-o", &out).exits(0);
    assert_eq!(fs::read(&out).expect("written"), content);
    let paths = run!("store", "--store", &url, "ls", &tree).exits(0).lines();
    assert_eq!(paths.len(), look(&place.path("tree")).len() - 1);
    let dump = place.path("dump.car");
    run!("store", "--store", &url, "dump", &tree, "-o", &dump).exits(0);
    run!("car", "verify", &dump).exits(0);
    run!("store", "--store", &url, "extract", &tree, "-C", place.path("restored")).exits(0);
    run!("car", "verify", "--against", place.path("restored"), &dump).exits(0);
    let stats = |store: &str| run!("store", "--store", store, "--json", "stats").exits(0).json();
    assert_eq!(stats(&url), stats(&store));
    run!("store", "--store", &url, "check", "--read-data").exits(0);

    let mirror = place.path("mirror").to_str().expect("text").to_owned();
    run!("store", "--store", &url, "copy", &mirror).exits(0);
    let lost = fs::read_dir(place.path("mirror/packs")).expect("there").next().expect("one");
    let lost = lost.expect("there").path();
    fs::remove_file(&lost).expect("removed");
    let healed = run!("store", "--store", &mirror, "heal", "--from", &url).exits(0).lines();
    assert_eq!(healed, [lost.file_stem().and_then(|name| name.to_str()).expect("a name")]);
    run!("store", "--store", &mirror, "check", "--read-data").exits(0);

    // Nothing is written there, and that is known before anything is read.
    let read_only = "nothing can be written there";
    run!("store", "--store", &url, "put", &out).exits(2).says(read_only);
    run!("store", "--store", &url, "publish").exits(2).says(read_only);
    run!("store", "--store", &url, "rm", &tree).exits(2).says(read_only);
    run!("store", "--store", &url, "gc").exits(2).says(read_only);
    run!("store", "--store", &url, "gc", "-n").exits(0);
    run!("store", "--store", &url, "heal", "--from", &mirror).exits(2).says(read_only);
    run!("store", "--store", &url, "index", "compact").exits(2).says(read_only);
    run!("store", "--store", &url, "index", "rebuild").exits(2).says(read_only);
    run!("store", "--store", &url, "index", "add", &dump).exits(2).says(read_only);
    run!("store", "--store", &url, "index", "import", &mirror).exits(2).says(read_only);
    run!("store", "--store", &mirror, "copy", &url).exits(2).says(read_only);
    let query = format!("{url}?x=1");
    run!("store", "--store", query, "ls").exits(2).says("a query");

    // What takes segments away renews the catalogue.
    run!("store", "--store", &store, "index", "compact").exits(0).says("renewed");
    assert_eq!(stats(&url)[0]["segments"], 1);
    run!("store", "--store", &store, "index", "rebuild").exits(0).says("renewed");
    run!("store", "--store", &url, "check", "--read-data").exits(0);
    run!("store", "--store", &store, "rm", &big).exits(0);
    run!("store", "--store", &store, "gc", "--grace", "0").exits(0).says("renewed");
    assert_eq!(run!("store", "--store", &url, "ls").exits(0).lines(), std::slice::from_ref(&tree));
    run!("store", "--store", &url, "check", "--read-data").exits(0);
    // Else it is told.
    for segment in fs::read_dir(place.path("store/index")).expect("there") {
        fs::remove_file(segment.expect("there").path()).expect("removed");
    }
    let told = run!("store", "--store", &url, "ls").exits(2);
    told.says("out of date").says("`carstone store publish`");
}

/// The files of a directory, by their paths.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("there") {
        let path = entry.expect("there").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("text").to_owned();
        match path.is_dir() {
            true => {
                let below = files(&path).into_iter();
                found.extend(below.map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
            }
            false => drop(found.insert(name, fs::read(&path).expect("read"))),
        }
    }
    found
}

/// A store with the packs of another one, and nothing else.
fn packs_alone(place: &Place, store: &str, name: &str) -> String {
    let copy = place.path(name).to_str().expect("text").to_owned();
    run!("store", "--store", store, "copy", &copy).exits(0);
    fs::remove_dir_all(place.path(name).join("index")).expect("removed");
    fs::remove_dir_all(place.path(name).join("roots")).expect("removed");
    copy
}

#[test]
fn an_index_goes_round_in_the_forms_of_others() {
    let (place, store, [tree, big]) = stored();
    let content = noise(3_000_000, 1);
    for (form, nested, id) in [
        ("records", false, "index/blob@0.1"),
        ("containing-records", false, "index/containing@0.1"),
        ("containing-records", true, "index/containing@0.1"),
    ] {
        let (first, again) = (format!("{form}-{nested}"), format!("{form}-{nested}-again"));
        let mut more = vec!["--time", "1753000000000"];
        more.extend(nested.then_some("--nested"));
        let export = |store: &str, to: &str| {
            let out = place.path(to);
            let out = out.to_str().expect("text");
            let mut args = vec!["store", "--store", store, "--json", "index", "export"];
            args.extend(["--as", form, "-o", out]);
            args.extend(&more);
            let args: Vec<_> = args.into_iter().map(Into::into).collect();
            crate::support::run_args(&args, None).exits(0).json()
        };
        let told = export(&store, &first);
        let written = files(&place.path(&first));
        assert_eq!(told[0]["records"], written.len());
        assert!(written.values().all(|text| String::from_utf8_lossy(text).contains(id)));
        let depth = |path: &String| path.split('/').count();
        assert!(written.keys().all(|path| (depth(path) > 2) == nested), "{written:?}");

        let copy = packs_alone(&place, &store, &format!("store-{first}"));
        run!("store", "--store", &copy, "cat", &big).exits(2);
        let out = place.path(&first);
        let imported = match nested {
            false => run!("store", "--store", &copy, "--json", "index", "import", &out),
            true => run!("store", "--store", &copy, "--json", "index", "import", "--nested", &out),
        };
        let told = imported.exits(0).json();
        assert_eq!(told[0]["records"], written.len());
        assert_eq!((&told[0]["others"], &told[0]["refused"]), (&0.into(), &0.into()));
        assert_eq!(run!("store", "--store", &copy, "cat", &big).exits(0).stdout, content);
        run!("store", "--store", &copy, "ls", &tree).exits(0);
        run!("store", "--store", &copy, "check", "--read-data").exits(0);
        if form == "containing-records" {
            export(&copy, &again);
            assert_eq!(files(&place.path(&again)), written);
        }
    }
    // The index of one DAG.
    let (first, again) = (place.path("big.car"), place.path("again.car"));
    let written =
        run!("store", "--store", &store, "index", "export", "--as", "sharded", &big, "-o", &first);
    written.exits(0).says("blobs of");
    run!("car", "verify", &first).exits(0);
    let copy = packs_alone(&place, &store, "store-sharded");
    run!("store", "--store", &copy, "index", "import", &first).exits(0);
    assert_eq!(run!("store", "--store", &copy, "ls").exits(0).lines(), std::slice::from_ref(&big));
    assert_eq!(run!("store", "--store", &copy, "cat", &big).exits(0).stdout, content);
    run!("store", "--store", &copy, "index", "export", "--as", "sharded", &big, "-o", &again)
        .exits(0);
    assert_eq!(fs::read(&first).expect("read"), fs::read(&again).expect("read"));
}

#[test]
fn what_is_no_index_is_left_out_and_told() {
    let (place, store, [tree, _]) = stored();
    let out = place.path("records");
    let export =
        |form: &str| run!("store", "--store", &store, "index", "export", "--as", form, "-o", &out);
    export("records").exits(0);
    export("records").exits(2).says("is not empty");
    run!("store", "--store", &store, "index", "export", "--as", "records", "-o", &out, "--force")
        .exits(0);
    run!("store", "--store", &store, "index", "export", "--as", "records", &tree, "-o", &out)
        .exits(2)
        .says("--as sharded");
    export("sharded").exits(2).says("CID");
    let nobody = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    run!("store", "--store", &store, "index", "export", "--as", "sharded", nobody, "-o", "-")
        .exits(2)
        .says(nobody);

    let count = files(&out).len();
    let import = |from: &Path| run!("store", "--store", &store, "--json", "index", "import", from);
    place.write("records/README", b"not a record");
    let some = fs::read_dir(&out).expect("there").find_map(|entry| {
        let path = entry.expect("there").path();
        path.is_dir().then_some(path)
    });
    let broken = some.expect("one").join("7");
    fs::write(&broken, b"{}").expect("written");
    let told = import(&out).exits(1).json();
    let (problems, done): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|line| line["type"] == "problem");
    assert_eq!(problems.len(), 2, "{problems:?}");
    let says = |what: &str| {
        let message = |line: &serde_json::Value| line["message"].as_str().map(str::to_owned);
        problems.iter().filter_map(message).any(|message| message.contains(what))
    };
    assert!(says("/7: it is no record") && says("1 files"), "{problems:?}");
    assert_eq!(done[0]["records"], count);
    assert_eq!((&done[0]["others"], &done[0]["refused"]), (&1.into(), &1.into()));
    // A file that is no index does not keep others from being taken.
    let bad = place.write("bad.car", b"not a CAR");
    let car = place.path("tree.car");
    run!("store", "--store", &store, "index", "export", "--as", "sharded", &tree, "-o", &car)
        .exits(0);
    let told = run!("store", "--store", &store, "--json", "index", "import", &bad, &car);
    let told = told.exits(1).json();
    assert_eq!((&told[0]["type"], &told[1]["records"]), (&"problem".into(), &1.into()));
    import(&place.path("nothing")).exits(2);
}
