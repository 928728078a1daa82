//! From Python to JSON text: plain data of exactly the types that come back when it is read.

use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString},
};

use crate::errors::{type_refused, value_refused};

/// The deepest nesting that a session keeps.
const MAX_DEPTH: usize = 127;

/// The JSON text of a value that is to be kept under `key`.
///
/// A type that would come back as another one is refused: what is read is what was put.
pub(crate) fn write(key: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut out = Vec::with_capacity(64);
    Writer { key, out: &mut out }.value(value, 0)?;
    String::from_utf8(out).map_err(|_| value_refused(value.py(), key, "it is not UTF-8 text"))
}

struct Writer<'a> {
    key: &'a str,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn value(&mut self, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.text(text);
        }
        if let Ok(number) = value.cast_exact::<PyInt>() {
            return self.whole(number);
        }
        if value.is_none() {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        if let Ok(yes) = value.cast_exact::<PyBool>() {
            let word: &[u8] = if yes.is_true() { b"true" } else { b"false" };
            self.out.extend_from_slice(word);
            return Ok(());
        }
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            return self.float(number);
        }
        if depth >= MAX_DEPTH {
            let why = "it is nested deeper than 127 levels";
            return Err(value_refused(value.py(), self.key, why));
        }
        if let Ok(map) = value.cast_exact::<PyDict>() {
            return self.map(map, depth);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return self.list(list, depth);
        }
        Err(type_refused(self.key, value, ""))
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        let Ok(utf8) = text.to_str() else {
            let why = "a text in it has lone surrogates";
            return Err(value_refused(text.py(), self.key, why));
        };
        self.json(text.py(), utf8)
    }

    /// What `serde_json` writes without an error: texts and finite numbers.
    fn json(&mut self, py: Python<'_>, value: impl serde::Serialize) -> PyResult<()> {
        serde_json::to_writer(&mut *self.out, &value)
            .map_err(|_| value_refused(py, self.key, "it is not JSON"))
    }

    fn whole(&mut self, number: &Bound<'_, PyInt>) -> PyResult<()> {
        if let Ok(small) = number.extract::<i64>() {
            return self.json(number.py(), small);
        }
        let Ok(digits) = number.str() else {
            let why = "an int in it has more digits than Python writes";
            return Err(value_refused(number.py(), self.key, why));
        };
        self.out.extend_from_slice(digits.to_str()?.as_bytes());
        Ok(())
    }

    fn float(&mut self, number: &Bound<'_, PyFloat>) -> PyResult<()> {
        let finite = number.value();
        if !finite.is_finite() {
            let why = "nan and the infinities are no numbers in JSON";
            return Err(value_refused(number.py(), self.key, why));
        }
        self.json(number.py(), finite)
    }

    fn map(&mut self, map: &Bound<'_, PyDict>, depth: usize) -> PyResult<()> {
        self.out.push(b'{');
        for (index, (name, value)) in map.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let Ok(name) = name.cast_exact::<PyString>() else {
                return Err(type_refused(self.key, &name, " as a dict's key"));
            };
            self.text(name)?;
            self.out.push(b':');
            self.value(&value, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn list(&mut self, list: &Bound<'_, PyList>, depth: usize) -> PyResult<()> {
        self.out.push(b'[');
        for (index, value) in list.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(&value, depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }
}
