//! From JSON text to Python: fresh objects each time.

use memchr::memchr2;
use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString},
};

use crate::errors::damaged;

/// Nothing that any language of ours has put is nested deeper; what is would overflow the stack.
const MAX_DEPTH: usize = 200;

/// The value of the JSON text that is kept under `key`.
pub(crate) fn read<'py>(py: Python<'py>, key: &str, json: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut reader = Reader { py, json, at: 0 };
    let value = reader.value(0);
    if reader.at == json.len()
        && let Ok(value) = value
    {
        return Ok(value);
    }
    Err(damaged(py, key))
}

/// The text is not JSON, or Python refused to make an object of it. What is in it is nobody's business.
struct Damaged;

impl From<PyErr> for Damaged {
    fn from(_: PyErr) -> Self {
        Self
    }
}

type Read<T> = Result<T, Damaged>;

struct Reader<'a, 'py> {
    py: Python<'py>,
    json: &'a [u8],
    at: usize,
}

impl<'a, 'py> Reader<'a, 'py> {
    fn value(&mut self, depth: usize) -> Read<Bound<'py, PyAny>> {
        match self.peek()? {
            b'"' => Ok(self.text()?.into_any()),
            b'{' if depth < MAX_DEPTH => self.map(depth + 1),
            b'[' if depth < MAX_DEPTH => self.list(depth + 1),
            b't' => self.word(b"true", PyBool::new(self.py, true).to_owned().into_any()),
            b'f' => self.word(b"false", PyBool::new(self.py, false).to_owned().into_any()),
            b'n' => self.word(b"null", self.py.None().into_bound(self.py)),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Damaged),
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Read<u8> {
        loop {
            match self.json.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Damaged),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.peek()? == byte {
            self.at += 1;
            return Ok(());
        }
        Err(Damaged)
    }

    /// Whether a list or a map ends here, rather than going on behind a comma.
    fn ends(&mut self, end: u8) -> Read<bool> {
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => Ok(false),
            _ if next == end => Ok(true),
            _ => Err(Damaged),
        }
    }

    fn is_empty(&mut self, end: u8) -> Read<bool> {
        self.at += 1;
        let empty = self.peek()? == end;
        self.at += usize::from(empty);
        Ok(empty)
    }

    fn word(&mut self, word: &[u8], value: Bound<'py, PyAny>) -> Read<Bound<'py, PyAny>> {
        if !self.json[self.at..].starts_with(word) {
            return Err(Damaged);
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Read<Bound<'py, PyAny>> {
        let rest = &self.json[self.at..];
        let part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let length = rest.iter().position(|byte| !part(byte));
        let text = &rest[..length.unwrap_or(rest.len())];
        self.at += text.len();
        let text = std::str::from_utf8(text).map_err(|_| Damaged)?;
        let whole = text.bytes().skip(1).all(|byte| byte.is_ascii_digit());
        if !whole {
            let float: f64 = text.parse().map_err(|_| Damaged)?;
            return Ok(PyFloat::new(self.py, float).into_any());
        }
        if let Ok(small) = text.parse::<i64>() {
            return Ok(small
                .into_pyobject(self.py)
                .map_err(|_| Damaged)?
                .into_any());
        }
        Ok(self.py.get_type::<PyInt>().call1((text,))?)
    }

    fn text(&mut self) -> Read<Bound<'py, PyString>> {
        self.at += 1;
        let rest = &self.json[self.at..];
        let end = memchr2(b'"', b'\\', rest).ok_or(Damaged)?;
        if rest[end] == b'"' {
            self.at += end + 1;
            let plain = std::str::from_utf8(&rest[..end]).map_err(|_| Damaged)?;
            return Ok(PyString::new(self.py, plain));
        }
        self.escaped_text()
    }

    /// A text with escapes in it, whose end has to be found first.
    fn escaped_text(&mut self) -> Read<Bound<'py, PyString>> {
        let rest = &self.json[self.at..];
        let mut end = 0;
        loop {
            end += memchr2(b'"', b'\\', rest.get(end..).ok_or(Damaged)?).ok_or(Damaged)?;
            if rest[end] == b'"' {
                break;
            }
            end += 2;
        }
        // With the quotes on both sides.
        let quoted = &self.json[self.at - 1..=self.at + end];
        self.at += end + 1;
        let text: String = serde_json::from_slice(quoted).map_err(|_| Damaged)?;
        Ok(PyString::new(self.py, &text))
    }

    fn list(&mut self, depth: usize) -> Read<Bound<'py, PyAny>> {
        let list = PyList::empty(self.py);
        if self.is_empty(b']')? {
            return Ok(list.into_any());
        }
        loop {
            list.append(self.value(depth)?)?;
            if self.ends(b']')? {
                return Ok(list.into_any());
            }
        }
    }

    fn map(&mut self, depth: usize) -> Read<Bound<'py, PyAny>> {
        let map = PyDict::new(self.py);
        if self.is_empty(b'}')? {
            return Ok(map.into_any());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(Damaged);
            }
            let name = self.text()?;
            self.expect(b':')?;
            map.set_item(name, self.value(depth)?)?;
            if self.ends(b'}')? {
                return Ok(map.into_any());
            }
        }
    }
}
