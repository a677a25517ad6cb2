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
fn who_asks_in_json_is_answered_in_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (kino, index, list) = (path("kino"), path("index"), path("empty.geojson"));
    std::fs::write(&list, r#"{"type": "FeatureCollection", "features": []}"#).expect("writes");
    let init = |of: &'static str, folder: &str| {
        let origin = ["--origin", "http://127.0.0.1:9", "--name", "K", "--email", "a@b.example"];
        run(&[&["--json", of, "init", folder][..], &origin].concat())
    };
    for (output, code) in [
        (init("cinema", &kino), 0),
        (init("index", &index), 0),
        (run(&["--json", "index", "import", &index, &list]), 1),
        (run(&["--json", "index", "import", &kino, &list]), 1),
        (run(&["--json", "cinema", "import", &index, &list]), 1),
        (run(&["--json", "cinema", "export", &path("nowhere")]), 1),
        (run(&["--json", "book", "http://127.0.0.1:9", "x"]), 2),
        (run(&["--json", "find", "--limit", "0", "--index", "http://127.0.0.1:9"]), 2),
    ] {
        let said = if code == 0 { &output.stdout } else { &output.stderr };
        let json: serde_json::Value = serde_json::from_slice(said).unwrap_or_else(|e| panic!("{e}: {}", says(&output)));
        assert_eq!((output.status.code(), json["error"].is_string()), (Some(code), code != 0), "{}", says(&output));
    }
    assert!(!folder.path().join("nowhere").exists(), "a folder that is not there is not made");
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
