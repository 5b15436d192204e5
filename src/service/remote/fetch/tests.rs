use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{resolve::Lookup, *};

fn fetcher(max_bytes: usize) -> Fetcher {
    Fetcher::new(local(max_bytes))
}

fn local(max_bytes: usize) -> Options {
    Options { allow_loopback_http: true, max_bytes, ..Options::default() }
}

/// A server that answers every connection with `answer`, then keeps it open.
async fn canned(answer: impl Into<Vec<u8>>) -> u16 {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 2_048];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
            open.push(stream);
        }
    });
    port
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_body_within_the_cap_arrives() {
    let port = canned(ok("{}")).await;
    let body = fetcher(2).get(&format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(body, Ok(b"{}".to_vec()));
}

#[tokio::test]
async fn a_body_over_the_cap_is_cut_with_and_without_a_length() {
    let known = canned(ok("{} ")).await;
    let unknown = canned("HTTP/1.1 200 OK\r\n\r\n{} ").await;
    for port in [known, unknown] {
        let refused = fetcher(2).get(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
        assert_eq!(refused.code(), "too_large");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = canned(ok("secret")).await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{target}/\r\ncontent-length: 0\r\n\r\n"
    );
    let port = canned(answer).await;
    let refused = fetcher(99).get(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(refused.code(), "redirect");
    assert!(refused.to_string().contains("redirects are not followed"));
}

#[tokio::test]
async fn only_status_200_is_an_answer() {
    for status in ["201 Created", "204 No Content", "404 Not Found", "500 Oops"] {
        let port = canned(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        let refused = fetcher(99).get(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
        assert_eq!(refused.code(), "status", "{status}");
    }
}

#[tokio::test]
async fn a_silent_or_unfinished_answer_times_out() {
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let port = canned(answer).await;
        let total_timeout = Duration::from_millis(200);
        let fetcher = Fetcher::new(Options { total_timeout, ..local(99) });
        let url = format!("http://127.0.0.1:{port}/");
        let ended = tokio::time::timeout(Duration::from_secs(3), fetcher.get(&url)).await;
        assert_eq!(ended.unwrap().unwrap_err().code(), "timeout", "{answer}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let port = canned(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x08\x00\x00",
    )
    .await;
    let body = fetcher(99).get(&format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(body, Ok(b"\x1f\x08\x00\x00".to_vec()));
}

#[tokio::test]
async fn a_server_without_tls_is_named_as_such() {
    let port = canned("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let refused = fetcher(99).get(&format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(matches!(refused.code(), "tls" | "no_roots"), "{refused}");
}

#[tokio::test]
async fn nothing_listening_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = fetcher(99).get(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(refused.code(), "connection");
}

#[tokio::test]
async fn urls_that_may_not_be_fetched_are_refused_before_any_connection() {
    let strict = Fetcher::new(Options::default());
    for url in [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "jwks",
        "",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "https://8.8.8.8/",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://user@example.com/",
        "https://:pw@example.com/",
        "https://example.com/#keys",
    ] {
        assert_eq!(strict.get(url).await.unwrap_err().code(), "bad_url", "{url}");
    }
    let local = fetcher(99);
    for url in ["http://10.0.0.1/", "https://10.0.0.1/", "http://[fe80::1]/", "http://8.8.8.8/"] {
        assert_eq!(local.get(url).await.unwrap_err().code(), "refused_address", "{url}");
    }
}

#[tokio::test]
async fn plain_http_goes_to_loopback_only() {
    let names = Scripted::answers(&[&["8.8.8.8"]]);
    let fetcher = Fetcher::with_names(local(99), names);
    let refused = fetcher.get("http://issuer.test/").await.unwrap_err();
    assert_eq!(refused.code(), "refused_address");
}

#[tokio::test]
async fn https_never_reaches_a_private_address() {
    let options = Options { allow_loopback_http: false, ..local(99) };
    for address in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"] {
        let fetcher = Fetcher::with_names(options, Scripted::answers(&[&[address]]));
        let refused = fetcher.get("https://issuer.test/").await.unwrap_err();
        assert!(matches!(refused.code(), "refused_address" | "no_roots"), "{refused}");
    }
}

#[tokio::test]
async fn a_name_without_addresses_is_a_dns_error() {
    let fetcher = Fetcher::with_names(local(99), Scripted::answers(&[&[]]));
    assert_eq!(fetcher.get("http://issuer.test/").await.unwrap_err().code(), "dns");
}

#[tokio::test]
async fn i9_what_is_checked_is_what_is_dialled() {
    let port = canned(ok("{}")).await;
    // A rebinding name: harmless first, private from the second query on.
    let names = Scripted::answers(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let fetcher = Fetcher::with_names(local(99), Arc::clone(&names) as Arc<dyn Names>);
    let url = format!("http://issuer.test:{port}/");
    assert_eq!(fetcher.get(&url).await, Ok(b"{}".to_vec()));
    assert_eq!(names.asked(), 1, "the name is resolved once per fetch");
    assert_eq!(fetcher.get(&url).await.unwrap_err().code(), "refused_address");
    assert_eq!(names.asked(), 2);
}

#[tokio::test]
async fn i9_one_private_address_among_others_refuses_the_name() {
    let port = canned(ok("{}")).await;
    let fetcher = Fetcher::with_names(local(99), Scripted::answers(&[&["127.0.0.1", "10.0.0.1"]]));
    let refused = fetcher.get(&format!("http://issuer.test:{port}/")).await.unwrap_err();
    assert_eq!(refused.code(), "refused_address");
}

/// Answers each lookup with the next line of a script, the last line for ever.
struct Scripted {
    lines: Vec<Vec<IpAddr>>,
    asked: Mutex<usize>,
}

impl Scripted {
    fn answers(lines: &[&[&str]]) -> Arc<Scripted> {
        let parse = |line: &&[&str]| line.iter().map(|raw| raw.parse().unwrap()).collect();
        Arc::new(Scripted { lines: lines.iter().map(parse).collect(), asked: Mutex::new(0) })
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl Names for Scripted {
    fn lookup(&self, _: &str) -> Lookup {
        let mut asked = self.asked.lock().unwrap();
        let line = self.lines.get(*asked).or(self.lines.last()).unwrap().clone();
        *asked = asked.saturating_add(1);
        Box::pin(std::future::ready(Ok(line)))
    }
}
