//! One connection with many commands under way: callers leave their commands in one buffer, and a task carries it.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use redis::{RedisError, RedisResult, Value};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    sync::oneshot,
};

use super::wire::{Command, take_answer};

/// How much is read at once.
const CHUNK: usize = 32 << 10;

/// The callers' end.
pub(super) struct Pipe(Arc<Mutex<Line>>);

/// The end that carries the bytes: a future that ends with the connection.
pub(super) struct Carrier<S> {
    stream: S,
    line: Arc<Mutex<Line>>,
    writing: Vec<u8>,
    written: usize,
    /// For each command that was taken, in order, who waits for the answer.
    asked: VecDeque<Option<Answered>>,
    read: BytesMut,
}

#[derive(Default)]
struct Line {
    /// What the carrier has not taken yet, and who waits for the answers.
    commands: Vec<u8>,
    asking: VecDeque<Option<Answered>>,
    /// The carrier, when it has nothing to do.
    carrier: Option<Waker>,
    is_over: bool,
}

type Answered = oneshot::Sender<RedisResult<Value>>;

/// The two ends of a connection over this stream.
pub(super) fn over<S>(stream: S) -> (Pipe, Carrier<S>) {
    let line = Arc::<Mutex<Line>>::default();
    let carrier = Carrier {
        stream,
        line: line.clone(),
        writing: Vec::new(),
        written: 0,
        asked: VecDeque::new(),
        read: BytesMut::with_capacity(CHUNK),
    };
    (Pipe(line), carrier)
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> RedisError {
    io::Error::from(ErrorKind::BrokenPipe).into()
}

impl Pipe {
    /// Sends commands with nothing in between, and returns the answer to the last.
    pub(super) async fn send(&self, commands: &[&Command]) -> RedisResult<Value> {
        let (answered, answer) = oneshot::channel();
        let mut answered = Some(answered);
        let last = commands.len().saturating_sub(1);
        let asking = commands.iter().enumerate();
        self.put(asking.map(|(number, command)| {
            let answered = answered.take_if(|_| number == last);
            (*command, answered)
        }));
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Sends commands with nothing in between, and returns the answer to each.
    pub(super) async fn send_all(&self, commands: &[Command]) -> Vec<RedisResult<Value>> {
        let mut answers = Vec::new();
        self.put(commands.iter().map(|command| {
            let (answered, answer) = oneshot::channel();
            answers.push(answer);
            (command, Some(answered))
        }));
        let mut all = Vec::new();
        for answer in answers {
            all.push(answer.await.unwrap_or_else(|_| Err(closed())));
        }
        all
    }

    fn put<'a>(&self, asking: impl Iterator<Item = (&'a Command, Option<Answered>)>) {
        let mut line = lock(&self.0);
        for (command, answered) in asking {
            // Otherwise nobody will answer, and whoever waits hears of it at once.
            if !line.is_over {
                command.write_to(&mut line.commands);
                line.asking.push_back(answered);
            }
        }
        let carrier = line.carrier.take();
        drop(line);
        if let Some(carrier) = carrier {
            carrier.wake();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier<S> {
    fn carry(&mut self, task: &mut Context<'_>) -> Poll<RedisResult<()>> {
        loop {
            let written = self.write(task)?;
            let read = self.read(task)?;
            if read.is_pending() && (written.is_pending() || self.rest(task)) {
                return Poll::Pending;
            }
        }
    }

    /// Whether there is nothing to write; the next command wakes this up.
    fn rest(&self, task: &Context<'_>) -> bool {
        let mut line = lock(&self.line);
        let is_idle = line.commands.is_empty();
        if is_idle {
            line.carrier = Some(task.waker().clone());
        }
        is_idle
    }

    fn write(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.written == self.writing.len() {
                self.writing.clear();
                self.written = 0;
                let mut line = lock(&self.line);
                mem::swap(&mut self.writing, &mut line.commands);
                self.asked.append(&mut line.asking);
            }
            if self.writing.is_empty() {
                return Pin::new(&mut self.stream).poll_flush(task);
            }
            let left = &self.writing[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(task, left))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                more => self.written += more,
            }
        }
    }

    /// Reads once, and hands out the answers.
    fn read(&mut self, task: &mut Context<'_>) -> Poll<RedisResult<()>> {
        self.read.reserve(CHUNK);
        let more = ready!(pin!(self.stream.read_buf(&mut self.read)).poll(task))?;
        if more == 0 {
            return Poll::Ready(Err(closed()));
        }
        while let Some(answer) = take_answer(&mut self.read)? {
            match self.asked.pop_front() {
                // Who has gone needs no answer.
                Some(waiting) => drop(waiting.map(|waiting| waiting.send(Ok(answer)))),
                None => return Poll::Ready(Err(closed())),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Carrier<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let ended = ready!(self.carry(task));
        let error = ended.err().unwrap_or_else(closed);
        for waiting in self.asked.drain(..).flatten() {
            drop(waiting.send(Err(error.clone())));
        }
        Poll::Ready(())
    }
}

/// Nobody waits for an answer that will not come.
impl<S> Drop for Carrier<S> {
    fn drop(&mut self) {
        let mut line = lock(&self.line);
        line.is_over = true;
        line.asking.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    async fn ask(pipe: &Pipe, key: &str) -> RedisResult<Value> {
        let mut command = Command::new("GET", key.len());
        pipe.send(&[&Command::new("ASKING", 0), command.arg(key)])
            .await
    }

    #[tokio::test]
    async fn everybody_gets_his_own_answer_though_one_has_gone() {
        let (stream, mut server) = duplex(1 << 16);
        let (pipe, carrier) = over(stream);
        tokio::spawn(carrier);
        {
            let mut gone = pin!(ask(&pipe, "a"));
            let mut task = Context::from_waker(Waker::noop());
            assert!(gone.as_mut().poll(&mut task).is_pending());
        }
        let serve = async {
            let mut asked = vec![0; 3 * 36];
            server.read_exact(&mut asked).await.unwrap();
            // Part by part, as a network would.
            for part in [
                "+OK\r\n$1\r\nA\r\n+O",
                "K\r\n$1\r\nB\r\n+OK\r\n$1",
                "\r\nC\r\n",
            ] {
                server.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (b, c, ()) = tokio::join!(ask(&pipe, "b"), ask(&pipe, "c"), serve);
        assert_eq!(b.unwrap(), Value::BulkString(b"B".into()));
        assert_eq!(c.unwrap(), Value::BulkString(b"C".into()));
    }

    #[tokio::test]
    async fn nobody_waits_when_the_connection_has_ended() {
        let (stream, mut server) = duplex(1 << 16);
        let (pipe, carrier) = over(stream);
        let carrier = tokio::spawn(carrier);
        let end = async {
            server.read_u8().await.unwrap();
            drop(server);
        };
        let (answer, ()) = tokio::join!(ask(&pipe, "a"), end);
        assert!(answer.unwrap_err().is_io_error());
        carrier.await.unwrap();
        assert!(ask(&pipe, "a").await.unwrap_err().is_io_error());
    }

    #[tokio::test]
    async fn nobody_waits_when_the_carrier_is_dropped() {
        let (stream, _server) = duplex(1 << 16);
        let (pipe, carrier) = over(stream);
        let (answer, ()) = tokio::join!(ask(&pipe, "a"), async { drop(carrier) });
        assert!(answer.unwrap_err().is_io_error());
    }
}
