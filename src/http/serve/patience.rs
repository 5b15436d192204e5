//! How long a peer may keep us waiting: one deadline per connection, moved as the connection goes
//! from waiting to reading a head, to handling, to answering.
//!
//! The timer is lazy: a deadline that moves later costs a store, and only a wait that really
//! happens looks at the timer. Nothing here knows HTTP beyond those four phases.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};

/// Nothing was read yet.
const FRESH: u8 = 0;
/// An answer was given, and nothing of it is written; the next request has not begun.
const ANSWERED: u8 = 1;
/// Something of it is written, perhaps all.
const IDLE: u8 = 2;
/// Part of a head was read.
const HEAD: u8 = 3;
/// A handler is at work; its own time limit holds.
const HANDLING: u8 = 4;

const NEVER: u64 = u64::MAX;
/// A head has begun: the clock is read only if its end has to be waited for.
const FROM_NOW: u64 = u64::MAX - 1;

/// After the last answer we read on for this long, so that a peer that is still sending (a body
/// that was refused) can read our answer: closing with unread input would reset the connection.
const LINGER: Duration = Duration::from_secs(2);
/// And throw away at most this much.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// The state of one connection's deadline, shared by its transport and its service.
///
/// Both run in the connection's one task, so that relaxed atomics are enough: they are here only
/// because the task may move between threads.
pub(super) struct Patience {
    start: Instant,
    head: Duration,
    idle: Duration,
    phase: AtomicU8,
    deadline_ms: AtomicU64,
    draining: AtomicU8,
}

impl Patience {
    pub(super) fn new(head: Duration, idle: Duration) -> Patience {
        let start = Instant::now();
        let patience = Patience {
            start,
            head,
            idle,
            phase: AtomicU8::new(FRESH),
            deadline_ms: AtomicU64::new(NEVER),
            draining: AtomicU8::new(0),
        };
        patience.allow(head);
        patience
    }

    /// A head is complete: the handler's own time limit takes over.
    pub(super) fn head_read(&self) {
        self.phase.store(HANDLING, Relaxed);
        self.deadline_ms.store(NEVER, Relaxed);
    }

    /// The handler is done; the answer may be written and the next request awaited.
    pub(super) fn answered(&self) {
        self.phase.store(ANSWERED, Relaxed);
        self.allow(self.idle);
    }

    /// The peer has taken something of an answer. One that goes on, such as an export, may take as
    /// long as it is read; of nearly all there is only this one piece, and no clock is read for it.
    fn written(&self) {
        match self.phase.load(Relaxed) {
            ANSWERED => self.phase.store(IDLE, Relaxed),
            // The head of a next request may have begun meanwhile.
            IDLE | HEAD => self.allow(self.idle),
            _ => {}
        }
    }

    /// No new request is wanted: a connection on which nothing was ever sent ends now.
    pub(super) fn drain(&self) {
        self.draining.store(1, Relaxed);
        if self.phase.load(Relaxed) == FRESH {
            self.deadline_ms.store(0, Relaxed);
        }
    }

    fn received(&self) {
        if self.phase.load(Relaxed) < HEAD {
            self.phase.store(HEAD, Relaxed);
            self.deadline_ms.store(FROM_NOW, Relaxed);
        }
    }

    fn allow(&self, wait: Duration) {
        let until = self.start.elapsed().saturating_add(wait).as_millis();
        self.deadline_ms.store(u64::try_from(until).unwrap_or(NEVER), Relaxed);
    }

    fn deadline(&self) -> Option<Instant> {
        if self.deadline_ms.load(Relaxed) == FROM_NOW {
            self.allow(self.head);
        }
        match self.deadline_ms.load(Relaxed) {
            NEVER => None,
            ms => self.start.checked_add(Duration::from_millis(ms)),
        }
    }
}

/// What comes within `wait`. Most comes at once, and for that no timer is made.
pub(super) async fn within<T>(
    wait: Duration,
    mut future: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(value) => Some(value),
        // Boxed: every request would carry the timer's room.
        Poll::Pending => Box::pin(timeout(wait, future)).await.ok(),
    }
}

/// A transport whose waits end at the deadline of its [`Patience`].
pub(super) struct Patient {
    stream: TcpStream,
    patience: Arc<Patience>,
    timer: Pin<Box<Sleep>>,
    ended: bool,
    lingered: Option<usize>,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, patience: Arc<Patience>) -> Patient {
        let first = patience.deadline().unwrap_or(patience.start);
        let timer = Box::pin(sleep_until(first));
        Patient { stream, patience, timer, ended: false, lingered: None }
    }

    /// Ready with an error when the deadline has passed; otherwise sees to it that the task is
    /// woken when it does.
    fn poll_overdue<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        while let Some(deadline) = self.patience.deadline() {
            if deadline < self.timer.deadline() {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Reads and discards until the peer closes, or time or bytes run out.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sink = [0_u8; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut sink);
            let read = match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.poll_overdue::<()>(cx).map(|_| ()),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => buffer.filled().len(),
            };
            let total = self.lingered.unwrap_or(0).saturating_add(read);
            self.lingered = Some(total);
            if read == 0 || total > LINGER_BYTES_MAX {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_pending() {
            return self.poll_overdue(cx);
        }
        if buffer.filled().len() > before {
            self.patience.received();
        } else {
            self.ended = true;
        }
        polled
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        match polled {
            Poll::Pending => self.poll_overdue(cx),
            Poll::Ready(Ok(_)) => {
                self.patience.written();
                polled
            }
            Poll::Ready(Err(_)) => polled,
        }
    }

    // Not vectored: answers are small, and copying one costs less than gathering it in the kernel.

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingered.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            // A pooled connection that is closed by a drain has nothing unread, and its peer may
            // not look at it for minutes.
            if self.ended || self.patience.draining.load(Relaxed) == 1 {
                return Poll::Ready(Ok(()));
            }
            self.lingered = Some(0);
            self.patience.allow(LINGER);
        }
        self.poll_linger(cx).map(Ok)
    }
}
