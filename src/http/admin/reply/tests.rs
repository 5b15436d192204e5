use axum::body::to_bytes;

use super::*;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// What is made after so many signs of life.
async fn made(after: u32, what: Result<String, Problem>) -> Result<String, Problem> {
    _ = timeout(SHORT.saturating_mul(after), std::future::pending::<()>()).await;
    what
}

async fn body(reply: Reply) -> Result<String, axum::Error> {
    let response = reply.into_response();
    assert_eq!(response.headers()[CONTENT_TYPE], JSON);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let bytes = to_bytes(response.into_body(), 1_000).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn what_is_there_in_time_is_answered_like_anything_else() {
    let reply = Reply::late_by(made(1, Ok("{}".to_owned())), LONG, SHORT).await.unwrap();
    assert_eq!(body(reply).await.unwrap(), "{}");
    let refused = Reply::late_by(made(1, Err(Problem::forbidden())), LONG, SHORT).await;
    assert_eq!(refused.unwrap_err().status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_takes_long_is_begun_and_gives_signs_of_life() {
    let reply = Reply::late_by(made(10, Ok("{}".to_owned())), SHORT, SHORT).await.unwrap();
    let text = body(reply).await.unwrap();
    assert!(text.len() > 3 && text.trim_start() == "{}", "{text:?}");
}

#[tokio::test]
async fn what_cannot_be_made_after_all_breaks_off() {
    let reply = Reply::late_by(made(10, Err(Problem::forbidden())), SHORT, SHORT).await.unwrap();
    assert!(body(reply).await.is_err());
}

#[tokio::test]
async fn a_maker_that_panics_breaks_off_or_is_an_error_of_ours() {
    let panics = |after| async move {
        made(after, Ok(String::new())).await.map(|_| panic!("a maker's bug"))
    };
    let reply = Reply::late_by(panics(10), SHORT, SHORT).await.unwrap();
    assert!(body(reply).await.is_err());
    let refused = Reply::late_by(panics(1), LONG, SHORT).await;
    assert_eq!(refused.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn nothing_is_made_for_somebody_who_has_gone() {
    let (making, mut gone) = mpsc::channel::<()>(1);
    let endless = async move {
        let _held = making;
        std::future::pending().await
    };
    let reply = Reply::late_by(endless, SHORT, SHORT).await.unwrap();
    drop(reply);
    assert_eq!(timeout(LONG, gone.recv()).await, Ok(None));
}
