//! What `carstone hppr` takes and refuses, and what it says then.

use crate::support::{Place, command};

/// A place with a repository in it.
fn place() -> (Place, String) {
    let place = Place::new();
    let repo = repository(&place, "repo");
    (place, repo)
}

fn repository(place: &Place, name: &str) -> String {
    let repo = place.path(name).to_str().expect("text").to_owned();
    run!("hppr", "--repo", &repo, "init").exits(0);
    repo
}

#[test]
fn an_empty_variable_names_no_repository() {
    let (place, repo) = place();
    let list = |value: &str, arguments: &[&str]| {
        let mut command = command([&["hppr"], arguments].concat());
        command.current_dir(place.dir.path()).env("CARSTONE_HPPR", value);
        crate::support::Run::from(command.output().expect("it runs"))
    };
    list(&repo, &["ls"]).exits(0);
    list("", &["ls"]).exits(2).says("hppr: it is no repository");
    list("", &["init"]).exits(0);
    list("", &["ls"]).exits(0);
    assert!(place.path("hppr/index").is_dir());
    list("", &["--repo", "", "ls"]).exits(2).says("a value is required");
}
