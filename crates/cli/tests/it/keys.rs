//! Keys that are lost or stolen: what docs/keys.md says to do, done.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::folder::{Folder, admit, client, run, says};

fn said(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", says(output)))
}

/// The keys that a server needs, into a folder that is not there yet.
fn copy_keys(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for file in ["identity.json", "tickets.json", "recovery.pub"] {
        std::fs::copy(from.join(file), to.join(file)).expect("copies");
    }
}

/// A cinema with a booking in a wallet, and its recovery key put away, as `init` says.
struct Robbed {
    folder: Folder,
    recovery: String,
    wallet: String,
}

impl Robbed {
    async fn new() -> Self {
        let folder = Folder::new(1, 1);
        let path = |name: &str| folder.path.join(name).to_str().expect("a path").to_owned();
        let (recovery, wallet) = (path("safe.json"), path("wallet.json"));
        std::fs::rename(folder.path.join("keys/recovery.json"), &recovery).expect("moves");
        let robbed = Self { folder, recovery, wallet };
        let _serving = robbed.folder.serve();
        robbed.folder.meet(&client(1)).await;
        let booked = robbed.wallet(&["book", &robbed.folder.origin, "show-0", "1-1", "--at-most", "10"]);
        assert!(booked.status.success(), "{}", says(&booked));
        robbed
    }

    fn wallet(&self, what: &[&str]) -> Output {
        run(&[&["--wallet", &self.wallet], what].concat())
    }

    fn replace_identity(&self) -> Output {
        run(&["--json", "keys", "replace-identity", self.folder.text(), "--recovery", &self.recovery])
    }
}

#[tokio::test]
async fn who_stole_the_identity_key_is_believed_by_nobody_once_it_is_replaced() {
    let robbed = Robbed::new().await;
    let Robbed { folder, .. } = &robbed;
    let (keys, stolen) = (folder.path.join("keys"), folder.path.join("stolen"));
    copy_keys(&keys, &stolen);
    let before = said(&run(&["--json", "keys", "list", folder.text()]));
    if !crate::folder::on_postgres() {
        let _serving = folder.serve();
        folder.meet(&client(1)).await;
        let running = robbed.replace_identity();
        assert!(!running.status.success() && says(&running).contains("another process"), "{}", says(&running));
    }
    let replaced = said(&robbed.replace_identity());
    assert_eq!(replaced["recovery"], before["recovery"]);
    assert!(replaced["identity"] != before["identity"] && replaced["replaced"] == true, "{replaced}");
    let listed = says(&run(&["keys", "list", folder.text()]));
    assert!(listed.contains("put there by the recovery key"), "{listed}");
    {
        let _serving = folder.serve();
        folder.meet(&client(1)).await;
        let known = robbed.wallet(&["bookings"]);
        assert!(
            says(&known).contains("to pay at the cinema") && !says(&known).contains("last asked"),
            "{}",
            says(&known)
        );
    }
    // The thief, at the same address.
    std::fs::rename(&keys, folder.path.join("owners")).expect("moves");
    copy_keys(&stolen, &keys);
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let fooled = says(&robbed.wallet(&["book", &folder.origin, "show-0", "1-2", "--at-most", "10"]));
    assert!(fooled.contains("was replaced by its recovery key"), "{fooled}");
}

#[tokio::test]
async fn who_lost_identity_and_recovery_key_is_believed_by_who_was_told_so() {
    let robbed = Robbed::new().await;
    let Robbed { folder, .. } = &robbed;
    std::fs::rename(folder.path.join("keys"), folder.path.join("lost")).expect("moves");
    // Whoever has nothing left begins again, with a folder's keys of another.
    let other = Folder::new(1, 1);
    std::fs::rename(other.path.join("keys"), folder.path.join("keys")).expect("moves");
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let book = || robbed.wallet(&["book", &folder.origin, "show-0", "1-2", "--at-most", "10"]);
    let refused = says(&book());
    assert!(refused.contains("is known for this origin") && refused.contains("admit trust"), "{refused}");
    let unasked = robbed.wallet(&["trust", &folder.origin]);
    assert!(!unasked.status.success(), "nobody said yes: {}", says(&unasked));
    assert!(says(&book()).contains("is known for this origin"));
    let trusted = robbed.wallet(&["trust", &folder.origin, "--yes"]);
    assert!(trusted.status.success(), "{}", says(&trusted));
    assert!(says(&book()).contains("booked: "), "{}", says(&book()));
}

#[tokio::test]
async fn what_a_stolen_ticket_key_signed_opens_nothing_once_it_is_revoked() {
    let robbed = Robbed::new().await;
    let Robbed { folder, .. } = &robbed;
    let device = said(&run(&["--json", "cinema", "device", folder.text(), "door-1"]));
    let token = format!("--token={}", device["token"].as_str().expect("a token"));
    let scan = |code: &str| {
        let door = admit(&["door", "scan", &folder.origin, "show-0", &token]);
        let mut door =
            { door }.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        writeln!(door.stdin.take().expect("piped"), "{code}").expect("written");
        says(&door.wait_with_output().expect("ends"))
    };
    let code = || {
        let shown = said(&robbed.wallet(&["--json", "ticket", "show", "1"]));
        shown["tickets"][0]["code"].as_str().expect("a code").to_owned()
    };
    let stolen = {
        let _serving = folder.serve();
        folder.meet(&client(1)).await;
        let code = code();
        assert!(!scan(&code).contains("NO TICKET OF OURS"), "{}", scan(&code));
        code
    };
    let keys = said(&run(&["--json", "keys", "list", folder.text()]));
    let key = keys["ticket"][0]["id"].as_str().expect("a key");
    let revoke = || run(&["--json", "keys", "revoke", folder.text(), key]);
    let revoked = said(&revoke());
    assert_eq!(revoked["ticket"].as_array().map(Vec::len), Some(2), "another one signs: {revoked}");
    assert!(says(&revoke()).contains("is no ticket key that is believed"), "once");
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    assert!(scan(&stolen).contains("NO TICKET OF OURS"), "{}", scan(&stolen));
    let (again, scanned) = (code(), scan(&code()));
    assert!(again != stolen && !scanned.contains("NO TICKET OF OURS"), "the buyer's own is good again: {scanned}");
}

#[test]
fn a_ticket_key_is_renewed_before_its_time() {
    let folder = Folder::new(1, 1);
    let renewed = says(&run(&["keys", "renew", folder.text()]));
    assert!(renewed.contains("signs tickets until") && renewed.contains("signs tickets from"), "{renewed}");
    let nobody = run(&["keys", "list", "nowhere"]);
    assert!(!nobody.status.success(), "{}", says(&nobody));
}
