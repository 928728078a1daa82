//! The protocol: a command as bytes, and bytes as an answer. What is not a plain string or number is read by redis-rs.

use bytes::{Buf, BytesMut};
use redis::{ErrorKind, RedisError, RedisResult, Value, parse_redis_value};

/// A command as it is sent, but for the number of its parts, which goes in front.
#[derive(Clone)]
pub(super) struct Command {
    parts: usize,
    bytes: Vec<u8>,
}

impl Command {
    /// A command with room for so many bytes of arguments.
    pub(super) fn new(name: &str, size: usize) -> Self {
        let mut command = Self {
            parts: 0,
            bytes: Vec::with_capacity(name.len() + size + 128),
        };
        command.arg(name);
        command
    }

    pub(super) fn arg(&mut self, argument: impl AsRef<[u8]>) -> &mut Self {
        let argument = argument.as_ref();
        self.parts += 1;
        self.bytes.push(b'$');
        push_number(&mut self.bytes, argument.len());
        self.bytes.extend_from_slice(argument);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.arg(itoa::Buffer::new().format(number))
    }

    /// The same command with its first parts, which take so many bytes, replaced by as many others.
    pub(super) fn with_head(&self, length: usize, head: &[&str]) -> Self {
        let size = head.iter().map(|part| part.len()).sum::<usize>();
        let mut command = Self {
            parts: 0,
            bytes: Vec::with_capacity(self.bytes.len() + size + 32),
        };
        for part in head {
            command.arg(part);
        }
        command.parts = self.parts;
        command.bytes.extend_from_slice(&self.bytes[length..]);
        command
    }

    /// How many bytes its parts take so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        out.push(b'*');
        push_number(out, self.parts);
        out.extend_from_slice(&self.bytes);
    }
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Takes the first answer out of what was read, if all of it is there.
pub(super) fn take_answer(read: &mut BytesMut) -> RedisResult<Option<Value>> {
    let Some(length) = answer_length(read)? else {
        return Ok(None);
    };
    let answer = match line(read) {
        Some((b'$', number, start)) if number != b"-1" => {
            Value::BulkString(read[start..length - LINE_END.len()].to_vec())
        }
        _ => parse_redis_value(&read[..length])?,
    };
    read.advance(length);
    Ok(Some(answer))
}

const LINE_END: &[u8] = b"\r\n";

/// How long the first answer is, with all that is in it; `None` while some of it is missing.
fn answer_length(read: &[u8]) -> RedisResult<Option<usize>> {
    let mut at = 0;
    let mut missing = 1_usize;
    while missing > 0 {
        let Some((kind, text, length)) = read.get(at..).and_then(line) else {
            return Ok(None);
        };
        at += length;
        missing -= 1;
        match kind {
            b'+' | b'-' | b':' => {}
            b'$' => {
                let length = size(text)?.map_or(0, |size| size.saturating_add(LINE_END.len()));
                at = at.saturating_add(length);
            }
            b'*' => missing = missing.saturating_add(size(text)?.unwrap_or(0)),
            _ => return Err(garbage()),
        }
    }
    Ok((at <= read.len()).then_some(at))
}

/// The first line: what kind of an answer it begins, the rest of it, and its length.
fn line(read: &[u8]) -> Option<(u8, &[u8], usize)> {
    let end = memchr::memchr(b'\n', read)?;
    let (kind, rest) = read[..end].split_first()?;
    Some((*kind, rest.strip_suffix(b"\r")?, end + 1))
}

/// A length, or `None` for the -1 of an answer that is nothing.
fn size(text: &[u8]) -> RedisResult<Option<usize>> {
    if text == b"-1" {
        return Ok(None);
    }
    let text = str::from_utf8(text).map_err(|_| garbage())?;
    text.parse().map(Some).map_err(|_| garbage())
}

fn garbage() -> RedisError {
    (
        ErrorKind::Parse,
        "the server does not speak Redis' protocol",
    )
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> RedisResult<Option<(Value, usize)>> {
        let mut read = BytesMut::from(bytes);
        let answer = take_answer(&mut read)?;
        Ok(answer.map(|answer| (answer, bytes.len() - read.len())))
    }

    #[test]
    fn an_answer_is_taken_when_all_of_it_is_there() {
        let text = |text: &str| Value::BulkString(text.into());
        for (bytes, expected) in [
            (&b"+OK\r\n"[..], Value::Okay),
            (b":-12\r\n", Value::Int(-12)),
            (b"$-1\r\n", Value::Nil),
            (b"*-1\r\n", Value::Nil),
            (b"$0\r\n\r\n", text("")),
            (b"$4\r\na\r\nb\r\n", text("a\r\nb")),
            (
                b"*2\r\n*1\r\n$1\r\na\r\n:7\r\n",
                Value::Array(vec![Value::Array(vec![text("a")]), Value::Int(7)]),
            ),
        ] {
            for missing in 1..=bytes.len() {
                let begun = take(&bytes[..bytes.len() - missing]).unwrap();
                assert_eq!(begun, None, "{missing} bytes short");
            }
            let followed = [bytes, b"+next"].concat();
            assert_eq!(take(&followed).unwrap(), Some((expected, bytes.len())));
        }
    }

    #[test]
    fn an_error_of_the_servers_is_one_with_its_kind() {
        let (answer, _) = take(b"-NOSCRIPT No matching script.\r\n").unwrap().unwrap();
        let error = answer.extract_error().unwrap_err();
        assert_eq!(error.kind(), redis::ServerErrorKind::NoScript.into());
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"$x\r\n",
            b"$-2\r\n",
            b"*99999999999999999999\r\n",
            b"%1\r\n",
        ] {
            assert!(take(bytes).is_err());
        }
        // As long as it says it is, it may still come.
        assert_eq!(take(b"$18446744073709551615\r\n").unwrap(), None);
    }

    #[test]
    fn a_command_is_written_with_the_number_of_its_parts() {
        let mut command = Command::new("SET", 10);
        command.arg("k").number(12);
        let mut out = Vec::new();
        command.write_to(&mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n");
    }
}
