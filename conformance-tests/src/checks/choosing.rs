//! Seats that the server chooses, and rules about what may be left over.

use serde_json::{Value, json};

use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused};
use crate::target::Target;
use crate::wire::{Answer, Ask};

async fn best(target: &mut Target, show: &Show, buyer: &Buyer, best: Value) -> Result<Answer, String> {
    let ask = Ask::post(show.at("/holds"), &json!({"best": best})).by(&buyer.0).key(&target.key());
    target.wire.send(&ask).await
}

fn seats(hold: &Value) -> Vec<String> {
    let seats = hold["seats"].as_array().into_iter().flatten().filter_map(|s| s["seat"].as_str());
    let mut seats: Vec<String> = seats.map(str::to_owned).collect();
    seats.sort();
    seats
}

pub(super) async fn together(target: &mut Target) -> Checked {
    let show = target.show(json!({"rows": 1, "seats": 7})).await?;
    let (anna, ben, carla) = (target.buyer(), target.buyer(), target.buyer());
    target.held(&anna, &show, &["1-4"]).await?;
    let three = seats(&good(&best(target, &show, &ben, json!({"count": 3})).await?, 201)?);
    let side = [["1-1", "1-2", "1-3"], ["1-5", "1-6", "1-7"]].iter().any(|side| three == *side);
    must(side, || format!("three together are {three:?}"))?;
    let refusal = refused(&best(target, &show, &carla, json!({"count": 4})).await?, 409, "not_together")?;
    must(refusal["retryable"] == true, || "somebody may give seats back, and it is not retryable".into())?;
    refused(&best(target, &show, &carla, json!({"count": 8})).await?, 422, "never_fits")?;
    let both = json!({"best": {"count": 1}, "seats": [{"seat": "1-1"}]});
    let ask = Ask::post(show.at("/holds"), &both).by(&carla.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 422, "invalid")?;
    let rest = seats(&good(&best(target, &show, &carla, json!({"count": 3, "split": true})).await?, 201)?);
    Ok(must(rest.len() == 3, || format!("three of the last three are {rest:?}"))?)
}

pub(super) async fn no_wheelchair_space(target: &mut Target) -> Checked {
    let show = target.show(json!({"rows": 1, "seats": 4, "wheelchair": true})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let two = seats(&good(&best(target, &show, &anna, json!({"count": 2})).await?, 201)?);
    must(two == ["1-3", "1-4"], || format!("two who need no space get {two:?}"))?;
    let answer = best(target, &show, &ben, json!({"count": 1})).await?;
    must((400..500).contains(&answer.status), || {
        format!("only a space and its companion's seat are left: {}", answer.status)
    })?;
    let with = seats(&good(&best(target, &show, &ben, json!({"count": 2, "wheelchairs": 1})).await?, 201)?);
    Ok(must(with == ["1-1", "1-2"], || format!("one in a wheelchair and a companion get {with:?}"))?)
}

pub(super) async fn orphans(target: &mut Target) -> Checked {
    let rules = json!({"orphans": "strict", "orphans_below_percent": 0});
    let show = target.show(json!({"rows": 1, "seats": 6, "seat_rules": rules})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let problem = refused(&target.hold(&anna, &show, &["1-2"]).await?, 422, "rule_broken")?;
    must(problem["conflicts"] == json!([{"seat": "1-1", "reason": "left_alone"}]), || {
        format!("1-1 would be left alone, it names {}", problem["conflicts"])
    })?;
    target.must_be(&show, "1-2", None).await?;
    let two = refused(&target.hold(&anna, &show, &["1-2", "1-5"]).await?, 422, "rule_broken")?;
    let mut named: Vec<&str> =
        two["conflicts"].as_array().into_iter().flatten().filter_map(|c| c["seat"].as_str()).collect();
    named.sort_unstable();
    must(named == ["1-1", "1-6"], || format!("1-1 and 1-6 would be left alone, it names {named:?}"))?;
    let hold = target.held(&anna, &show, &["1-1", "1-2"]).await?;
    refused(&target.hold(&ben, &show, &["1-4"]).await?, 422, "rule_broken")?;
    target.held(&ben, &show, &["1-3", "1-4"]).await?;
    target.release(&anna, &show, &hold).await?;
    let lenient = json!({"orphans": "lenient", "orphans_below_percent": 0});
    let show = target.show(json!({"rows": 1, "seats": 3, "seat_rules": lenient})).await?;
    // Of three, two leave one whichever way they are chosen.
    target.held(&anna, &show, &["1-1", "1-2"]).await?;
    let soft = json!({"orphans": "strict", "orphans_below_percent": 100});
    let show = target.show(json!({"rows": 1, "seats": 4, "seat_rules": soft})).await?;
    target.held(&ben, &show, &["1-4"]).await?;
    target.held(&anna, &show, &["1-2"]).await?;
    Ok(())
}

pub(super) async fn sofa(target: &mut Target) -> Checked {
    let rules = json!({"groups": "whole"});
    let show = target.show(json!({"rows": 1, "seats": 4, "sofa": true, "seat_rules": rules})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    refused(&target.hold(&anna, &show, &["1-1"]).await?, 422, "rule_broken")?;
    refused(&target.hold(&anna, &show, &["1-2", "1-3"]).await?, 422, "rule_broken")?;
    target.held(&ben, &show, &["1-3"]).await?;
    target.held(&anna, &show, &["1-1", "1-2"]).await?;
    Ok(())
}
