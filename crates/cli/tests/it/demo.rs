use crate::folder::{run, says};

#[test]
fn the_demo_tells_the_whole_story() {
    let output = run(&["demo", "--exit"]);
    let said = says(&output);
    assert!(output.status.success(), "{said}");
    for fact in [
        "typos and all",
        "a forged one is refused",
        "hears which are taken",
        "a wrong total",
        "first scan: come in",
        "used before",
        "cancelled ticket: cancelled",
        "booked all the same",
        "in order",
    ] {
        assert!(said.contains(fact), "{fact:?} is missing in:\n{said}");
    }
}

#[test]
fn errors_say_what_to_do() {
    for (arguments, hint) in [
        (&["serve", "cinema", "/nowhere/at/all"][..], "admit cinema init"),
        (&["seats", "http://kino.example", "x"], "https://"),
        (&["ticket", "show", "1", "--wallet", "/nowhere/wallet.json"], "admit bookings"),
        (&["ticket", "verify", "--key", "short", "ADMIT1:X"], "43 characters"),
    ] {
        let output = run(arguments);
        assert!(!output.status.success());
        assert!(says(&output).contains(hint), "{arguments:?}: {}", says(&output));
    }
}

#[test]
fn a_development_server_is_not_open_to_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kino");
    let output = run(&[
        "cinema",
        "init",
        path.to_str().expect("a path"),
        "--origin",
        "http://127.0.0.1:9",
        "--listen",
        "0.0.0.0:9",
        "--name",
        "Kino",
        "--email",
        "a@b.example",
    ]);
    assert!(!output.status.success() && says(&output).contains("listen on 127.0.0.1"), "{}", says(&output));
    assert!(!path.exists(), "bad input changes nothing");
}
