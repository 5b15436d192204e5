use super::*;

fn single(body: &str) -> Result<Evaluation, AuthzenError> {
    match evaluation(body.as_bytes())? {
        Request::One(one) => Ok(*one),
        Request::Batch(_) => unreachable!("one question"),
    }
}

fn batch_of(body: &str) -> Batch {
    match evaluations(body.as_bytes()).unwrap() {
        Request::Batch(batch) => batch,
        Request::One(_) => unreachable!("several questions"),
    }
}

const ASKED: &str = r#""subject":{"type":"user","id":"alice","properties":{"token":"t","team":1}},
    "action":{"name":"tickets.get","properties":{"soft":true}},
    "resource":{"type":"mcp_server","id":"https://t.example"}"#;

#[test]
fn az1_a_question_is_read_and_unknown_members_are_ignored() {
    let body = format!(
        r#"{{{ASKED},"context":{{"arguments":{{"id":4711}},"call_id":"c","x":2}},"unknown":[]}}"#
    );
    let asked = single(&body).unwrap();
    assert_eq!((asked.subject.kind.as_str(), asked.subject.id.as_str()), ("user", "alice"));
    assert_eq!(asked.token.unwrap().expose(), "t");
    assert!(!asked.subject.properties.contains("token"), "a token is no property");
    assert!(asked.subject.properties.contains("team") && asked.action.contains("soft"));
    assert_eq!(asked.call.tool, "tickets.get");
    assert_eq!(asked.call.arguments.as_deref(), Some(r#"{"id":4711}"#));
    assert_eq!(asked.call.call_id.as_deref(), Some("c"));
}

#[test]
fn az1_what_is_missing_or_of_another_type_is_named_by_its_place() {
    for (from, to, message) in [
        (r#""type":"user","#, "", "`/subject/type` is missing"),
        (r#""id":"alice","#, r#""id":7,"#, "`/subject/id` must be a string of 1 to 1024 bytes"),
        (r#""name":"tickets.get","#, "", "`/action/name` is missing"),
        (r#"{"soft":true}"#, "[]", "`/action/properties` must be a JSON object"),
        (r#""token":"t""#, r#""token":7"#, "`/subject/properties/token` must be a string that is"),
        (r#""mcp_server""#, r#""record""#, "`/resource/type` must be `mcp_server`"),
    ] {
        let body = format!("{{{ASKED}}}").replace(from, to);
        let error = single(&body).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert_eq!(single("[]").unwrap_err().to_string(), "the document must be a JSON object");
    for body in ["", "{", "null", "null", r#"{"subject":{},"subject":{}}"#, "{}"] {
        assert!(single(body).is_err(), "{body}");
    }
    let context = format!(r#"{{{ASKED},"context":"x"}}"#);
    assert_eq!(single(&context).unwrap_err(), wrong("/context", OBJECT));
}

#[test]
fn az2_an_items_member_replaces_the_default_whole() {
    let body = format!(
        r#"{{{ASKED},"context":{{"arguments":{{"id":1}},"call_id":"c"}},"evaluations":[
        {{}},{{"context":{{"arguments":{{"id":2}}}}}},{{"action":{{"name":"tickets.update"}}}},
        {{"action":{{}}}},7]}}"#
    );
    let batch = batch_of(&body);
    assert_eq!((batch.semantic, batch.items.len()), (Semantic::ExecuteAll, 5));
    let call = |n: usize| &batch.items[n].as_ref().unwrap().call;
    assert_eq!(call(0).call_id.as_deref(), Some("c"));
    assert_eq!((call(1).arguments.as_deref(), &call(1).call_id), (Some(r#"{"id":2}"#), &None));
    assert_eq!(call(2).tool, "tickets.update");
    assert!(batch.items[2].as_ref().unwrap().action.is_empty(), "not merged");
    let error = batch.items[3].as_ref().unwrap_err().to_string();
    assert_eq!(error, "`/evaluations/3/action/name` is missing");
    assert!(batch.items[4].is_err());
}

#[test]
fn az2_without_evaluations_it_is_one_question() {
    for more in ["", r#","evaluations":[]"#] {
        let read = evaluations(format!("{{{ASKED}{more}}}").as_bytes()).unwrap();
        assert!(matches!(read, Request::One(_)), "{more}");
    }
}

#[test]
fn az2_the_three_semantics_and_the_bound() {
    for semantic in Semantic::ALL {
        let options = format!(r#""options":{{"evaluations_semantic":"{}"}}"#, semantic.as_str());
        assert_eq!(
            batch_of(&format!("{{{ASKED},{options},\"evaluations\":[{{}}]}}")).semantic,
            semantic
        );
    }
    for options in [r#"{"evaluations_semantic":"all"}"#, r#"{"evaluations_semantic":1}"#, "[]"] {
        let body = format!("{{{ASKED},\"options\":{options},\"evaluations\":[{{}}]}}");
        assert!(evaluations(body.as_bytes()).is_err(), "{options}");
    }
    let many = |n: usize| format!("{{{ASKED},\"evaluations\":[{}]}}", vec!["{}"; n].join(","));
    assert_eq!(batch_of(&many(MAX_EVALUATIONS)).items.len(), MAX_EVALUATIONS);
    assert!(evaluations(many(MAX_EVALUATIONS + 1).as_bytes()).is_err());
    assert!(
        Semantic::DenyOnFirstDeny.ends_with(false) && !Semantic::DenyOnFirstDeny.ends_with(true)
    );
    assert!(Semantic::PermitOnFirstPermit.ends_with(true));
    assert!(!Semantic::ExecuteAll.ends_with(false) && !Semantic::ExecuteAll.ends_with(true));
}
