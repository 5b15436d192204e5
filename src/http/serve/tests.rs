use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Bytes, HttpBody},
    extract::Extension,
    routing::{get, post},
};
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};
use tower::Service;

use super::{
    body::{BodyError, read_body},
    *,
};

/// Longer than any limit under test; reaching it is the failure.
const LONG: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
}

impl Answers for Router {
    async fn answer(&self, peer: Peer, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(peer);
        self.clone().call(request).await.unwrap()
    }
}

async fn start(router: Router, options: Options) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, router, options, async {
        _ = stopped.await;
    }));
    Server { address, stop, ended }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn drain(self) -> Drained {
        self.stop.send(()).unwrap();
        within(self.ended).await.unwrap()
    }
}

const NEVER: Duration = Duration::from_mins(1);

/// Limits that no test reaches: each test shortens the one it is about, so that a busy machine
/// cannot make another one fire.
fn unhurried() -> Options {
    Options {
        header_read_timeout: NEVER,
        request_timeout: NEVER,
        idle_timeout: NEVER,
        drain: NEVER,
        ..Options::default()
    }
}

const SHORT: Duration = Duration::from_millis(300);

fn short_heads() -> Options {
    Options { header_read_timeout: SHORT, ..unhurried() }
}

fn router() -> Router {
    async fn echo(body: Body) -> Result<String, StatusCode> {
        match read_body(body, 1000, Duration::from_millis(300)).await {
            Ok(bytes) => Ok(bytes.len().to_string()),
            Err(BodyError::TooLarge { .. }) => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Err(BodyError::Slow) => Err(StatusCode::REQUEST_TIMEOUT),
            Err(BodyError::Broken) => Err(StatusCode::BAD_REQUEST),
        }
    }
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/peer",
            get(|Extension(Peer(peer)): Extension<Peer>| async move { peer.to_string() }),
        )
        .route("/body", post(echo))
        .route("/never", get(std::future::pending::<()>))
}

async fn within<T>(wait: impl Future<Output = T>) -> T {
    timeout(LONG, wait).await.expect("still waiting")
}

/// Everything until the server closes; a reset counts as an end.
async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut out = Vec::new();
    _ = within(stream.read_to_end(&mut out)).await;
    String::from_utf8(out).unwrap()
}

/// One answer whose body is `expected`, on a connection that stays open.
async fn read_answer(stream: &mut TcpStream, expected: &str) {
    let mut out = String::new();
    let mut piece = [0_u8; 1024];
    while !out.ends_with(expected) {
        let n = within(stream.read(&mut piece)).await.unwrap();
        assert!(n > 0, "closed after {out:?}");
        out.push_str(std::str::from_utf8(&piece[..n]).unwrap());
    }
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_request_is_answered_and_knows_its_peer() {
    let server = start(router(), unhurried()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let us = stream.local_addr().unwrap().to_string();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&us), "{answer}");
}

#[tokio::test]
async fn a_head_that_drips_is_cut_however_often_it_drips() {
    let server = start(router(), short_heads()).await;
    let (mut reading, mut writing) = server.connect().await.into_split();
    let begun = Instant::now();
    let drip = tokio::spawn(async move {
        writing.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx: ").await.unwrap();
        while writing.write_all(b"a").await.is_ok() {
            _ = timeout(Duration::from_millis(40), std::future::pending::<()>()).await;
        }
    });
    assert_eq!(read_to_end(&mut reading).await, "");
    assert!(begun.elapsed() >= Duration::from_millis(290) && begun.elapsed() < LONG / 4);
    within(drip).await.unwrap();
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_cut() {
    let server = start(router(), short_heads()).await;
    let mut stream = server.connect().await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_lives_longer_than_a_head_may_take_and_is_then_cut() {
    let server =
        start(router(), Options { idle_timeout: Duration::from_millis(900), ..short_heads() })
            .await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        read_answer(&mut stream, "hello").await;
    }
    let begun = Instant::now();
    assert_eq!(read_to_end(&mut stream).await, "");
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(850) && waited < LONG / 4, "{waited:?}");
}

#[tokio::test]
async fn a_second_head_that_drips_is_cut_too() {
    let server = start(router(), short_heads()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_answer(&mut stream, "hello").await;
    stream.write_all(b"GET /").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_connection_may_be_idle() {
    /// Ten pieces, each after a pause: together three times as long as the idle time.
    async fn long() -> Body {
        let (pieces, made) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..10 {
                _ = timeout(Duration::from_millis(200), std::future::pending::<()>()).await;
                pieces.send("piece ").await.unwrap();
            }
        });
        Body::new(Pieces(made))
    }
    let options = Options { idle_timeout: Duration::from_millis(650), ..unhurried() };
    let server = start(router().route("/long", get(long)), options).await;
    let answer = exchange(server.address, "GET /long HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(answer.matches("piece ").count(), 10, "{answer}");
}

struct Pieces(mpsc::Receiver<&'static str>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|text| Ok(Frame::data(text.into()))))
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut() {
    let big = || async { "x".repeat(64 << 20) };
    let server = start(
        router().route("/big", get(big)),
        Options { idle_timeout: Duration::from_millis(600), ..unhurried() },
    )
    .await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut first = [0_u8; 12];
    within(stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // We never close and never read on: a drain this long ends only if the wait is cut.
    assert_eq!(server.drain().await, Drained { cut: 0 });
    assert!(read_to_end(&mut stream).await.len() < 64 << 20);
}

#[tokio::test]
async fn a_huge_head_or_too_many_headers_are_431() {
    let server = start(router(), unhurried()).await;
    let huge = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(1_000_000));
    let many = "x: 1\r\n".repeat(64);
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    for request in [huge, many] {
        let (mut reading, mut writing) = server.connect().await.into_split();
        let writer = tokio::spawn(async move {
            _ = writing.write_all(request.as_bytes()).await;
            writing
        });
        let answer = read_to_end(&mut reading).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        within(writer).await.unwrap();
    }
    let most = "x: 1\r\n".repeat(62);
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{most}\r\n");
    assert!(exchange(server.address, &request).await.starts_with("HTTP/1.1 200"));
}

/// Sends `head`, then `piece` again and again up to `total` bytes; the answer and what was taken.
async fn flood(server: &Server, head: String, piece: Vec<u8>, total: usize) -> (String, usize) {
    let (mut reading, mut writing) = server.connect().await.into_split();
    let writer = tokio::spawn(async move {
        writing.write_all(head.as_bytes()).await.unwrap();
        let mut taken = 0_usize;
        while taken < total && writing.write_all(&piece).await.is_ok() {
            taken = taken.saturating_add(piece.len());
        }
        taken
    });
    let answer = read_to_end(&mut reading).await;
    drop(reading);
    (answer, within(writer).await.unwrap())
}

#[tokio::test]
async fn a_body_of_100_mb_is_413_and_never_read() {
    let server = start(router(), unhurried()).await;
    let head = "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n".to_owned();
    let (answer, taken) = flood(&server, head, vec![b'a'; 64 * 1024], 100_000_000).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(taken < 50_000_000, "{taken} bytes were taken");
}

#[tokio::test]
async fn an_endless_chunked_body_is_413_when_the_limit_is_passed() {
    let server = start(router(), unhurried()).await;
    let head = "POST /body HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let chunk = format!("400\r\n{}\r\n", "a".repeat(1024)).into_bytes();
    let (answer, taken) = flood(&server, head, chunk, 100_000_000).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(taken < 50_000_000, "{taken} bytes were taken");
}

#[tokio::test]
async fn a_declared_body_that_is_too_large_is_never_asked_for() {
    let server = start(router(), unhurried()).await;
    let head = |length| {
        format!(
            "POST /body HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let answer = exchange(server.address, &head(1 << 30)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let answer = exchange(server.address, &format!("{}1234", head(4))).await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
}

#[tokio::test]
async fn a_body_is_read_whole_up_to_its_limit_in_one_piece_or_many() {
    let server = start(router(), unhurried()).await;
    let whole = format!(
        "POST /body HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1000\r\n\r\n{}",
        "a".repeat(1000)
    );
    let chunk = format!("64\r\n{}\r\n", "a".repeat(100)).repeat(10);
    let chunked = format!(
        "POST /body HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    for request in [whole, chunked] {
        let answer = exchange(server.address, &request).await;
        assert!(answer.ends_with("\r\n1000"), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_body_is_408_and_a_slow_handler_503() {
    let server =
        start(router(), Options { request_timeout: Duration::from_millis(600), ..unhurried() })
            .await;
    let slow = "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc";
    assert!(exchange(server.address, slow).await.starts_with("HTTP/1.1 408"));
    let never = "GET /never HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = exchange(server.address, never).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 1") && answer.contains("no-store"), "{answer}");
}

/// A route that says when a request came in and answers when told to.
fn gated() -> (Router, mpsc::Receiver<oneshot::Sender<()>>) {
    let (came, comes) = mpsc::channel::<oneshot::Sender<()>>(8);
    let gate = move || async move {
        let (open, opened) = oneshot::channel();
        came.send(open).await.unwrap();
        _ = opened.await;
        "done"
    };
    (router().route("/gate", get(gate)), comes)
}

const GATE: &[u8] = b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_drain_waits_for_the_request_in_flight_and_for_nothing_else() {
    let (router, mut comes) = gated();
    let server = start(router, unhurried()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_answer(&mut idle, "hello").await;
    let mut fresh = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(GATE).await.unwrap();
    let open = within(comes.recv()).await.unwrap();

    server.stop.send(()).unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert_eq!(read_to_end(&mut fresh).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "still accepting");
    open.send(()).unwrap();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.ends_with("done") && answer.contains("connection: close"), "{answer}");
    assert_eq!(within(server.ended).await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_finish_and_counts_it() {
    let (router, mut comes) = gated();
    let server = start(router, Options { drain: SHORT, ..unhurried() }).await;
    let mut busy = [server.connect().await, server.connect().await];
    let mut held = Vec::new();
    for stream in &mut busy {
        stream.write_all(GATE).await.unwrap();
        held.push(within(comes.recv()).await.unwrap());
    }
    assert_eq!(server.drain().await, Drained { cut: 2 });
    for stream in &mut busy {
        assert_eq!(read_to_end(stream).await, "");
    }
    assert!(held.iter().all(oneshot::Sender::is_closed), "the handlers were dropped");
}

#[tokio::test]
async fn beyond_the_cap_a_connection_waits_until_another_ends() {
    let (router, mut comes) = gated();
    let options = Options { max_connections: 1, ..unhurried() };
    let server = start(router, options).await;
    let mut first = server.connect().await;
    first.write_all(GATE).await.unwrap();
    let open = within(comes.recv()).await.unwrap();
    let mut second = server.connect().await;
    second.write_all(GATE).await.unwrap();
    assert!(timeout(Duration::from_millis(200), comes.recv()).await.is_err(), "cap ignored");

    open.send(()).unwrap();
    read_answer(&mut first, "done").await;
    drop(first);
    within(comes.recv()).await.unwrap().send(()).unwrap();
    read_answer(&mut second, "done").await;
}

#[tokio::test]
async fn an_accepted_connection_sends_without_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let permits = Arc::new(Semaphore::new(1));
    let (stream, peer, permit) = within(accept(&listener, &permits)).await.unwrap();
    assert!(stream.nodelay().unwrap());
    assert_eq!(peer.0, client.local_addr().unwrap());
    assert_eq!(permits.available_permits(), 0);
    drop(permit);
    assert_eq!(permits.available_permits(), 1);
}
