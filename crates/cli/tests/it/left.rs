//! What is left of a screening, in words.

use serde_json::json;

use crate::folder::{Folder, client, run, says};

/// A hall of two rows of 20 seats, and ten places to stand.
fn folder() -> Folder {
    Folder::of(|programme| {
        // Who has nothing to pay may have as many as they like.
        let offer = &mut programme["price_tables"]["all"]["offers"][0];
        (offer["base"]["amount"], offer["total"]["amount"]) = (0.into(), 0.into());
        programme["layouts"]["one"]["areas"] =
            json!([{"id": "floor", "name": {"en": "Floor"}, "zone": "all", "capacity": 10}]);
    })
}

#[tokio::test]
async fn a_programme_says_what_is_nearly_gone_and_what_is_sold_out() {
    let folder = folder();
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let wallet = folder.path.join("wallet.json");
    let wallet = ["--wallet", wallet.to_str().expect("a path")];
    let mine = |what: &[&str]| says(&run(&[&wallet[..], what].concat()));
    let programme = || mine(&["programme", &folder.origin]);
    let book = |seats: &[&str]| mine(&[&["book", &folder.origin, "show-0", "--at-most", "100"][..], seats].concat());
    assert!(!programme().contains("left"), "there is a choice: {}", programme());
    for (row, from, to) in [(1, 1, 10), (1, 11, 20), (2, 1, 10), (2, 11, 18)] {
        let seats: Vec<String> = (from..=to).map(|n| format!("{row}-{n}")).collect();
        let booked = book(&[&seats.join(",")]);
        assert!(booked.contains("booked: "), "{booked}");
    }
    assert!(book(&["floor:7"]).contains("booked: "));
    assert!(programme().contains("from 0.00 EUR, 5 left"), "{}", programme());
    let too_many = book(&["FLOOR:4"]);
    assert!(too_many.contains("floor: 3 places left"), "{too_many}");
    assert!(book(&["floor:3", "2-19"]).contains("booked: "));
    assert!(programme().contains("1 left"), "{}", programme());
    assert!(book(&["2-20"]).contains("booked: "));
    assert!(programme().contains("from 0.00 EUR, nothing left just now"), "{}", programme());
}
