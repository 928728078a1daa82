//! The configuration: the cascade of the core, with a file in Python on top.

use std::path::Path;

use arvel_session::{ErrorKind, Secret};
use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};

use crate::{errors::raise, session::done};

/// How sessions are kept.
#[pyclass(frozen, module = "arvel_session", name = "SessionConfig")]
pub(crate) struct SessionConfig(pub(crate) arvel_session::SessionConfig);

/// What errors call the place of settings that were given in code.
const CODE: &str = "set in code";

#[pymethods]
impl SessionConfig {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let text = settings.map(|settings| toml(CODE, settings)).transpose()?;
        let text = text.unwrap_or_default();
        let file = Some((Path::new(CODE), text.as_str()));
        // A folder that cannot be has no files.
        let config = arvel_session::SessionConfig::load_under("/dev/null", [], file);
        Ok(Self(done(py, config)?))
    }

    /// The cascade in this folder and this environment, with the settings of a file in Python on top of it.
    #[staticmethod]
    fn _load(
        py: Python<'_>,
        folder: &str,
        environment: &Bound<'_, PyDict>,
        path: &str,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut variables = Vec::new();
        for (name, value) in environment {
            let Ok(name) = name.extract::<String>() else {
                continue;
            };
            if name.starts_with("SESSION_") {
                let value = value
                    .extract::<String>()
                    .map_err(|_| raise(py, ErrorKind::Config, format!("{name} is not UTF-8")))?;
                variables.push((name, value));
            }
        }
        let text = settings.map(|settings| toml(path, settings)).transpose()?;
        let file = text.as_deref().map(|text| (Path::new(path), text));
        let config = arvel_session::SessionConfig::load_under(folder, variables, file);
        Ok(Self(done(py, config)?))
    }

    /// Every setting with its value, fit to be shown, and where it came from.
    fn describe(&self) -> Vec<(&'static str, String, String)> {
        let settings = self.0.describe();
        settings
            .map(|(name, value, source)| (name, value, source.to_string()))
            .collect()
    }

    /// A new secret key, fit for `SESSION_SECRET_KEY`.
    #[staticmethod]
    fn generate_key() -> String {
        Secret::generate().to_setting()
    }

    fn __repr__(&self) -> String {
        let settings = self.0.describe();
        let shown = settings.map(|(name, value, _)| format!("{name}={value}"));
        format!("SessionConfig({})", shown.collect::<Vec<_>>().join(", "))
    }
}

/// These settings as the text of a TOML file. `None` is a setting that is not set.
fn toml(path: &str, settings: &Bound<'_, PyDict>) -> PyResult<String> {
    let mut text = String::new();
    for (name, value) in settings {
        if value.is_none() {
            continue;
        }
        let Ok(name) = name.extract::<String>() else {
            let message = format!("{path}: the names of settings must be texts");
            return Err(raise(settings.py(), ErrorKind::Config, message));
        };
        let Some(value) = toml_value(&value) else {
            let message =
                format!("{name} ({path}): must be a text, a number, a bool or a list of texts");
            return Err(raise(settings.py(), ErrorKind::Config, message));
        };
        text += &format!("{} = {value}\n", quoted(&name));
    }
    Ok(text)
}

fn toml_value(value: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(yes) = value.cast::<PyBool>() {
        return Some(yes.is_true().to_string());
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Some(quoted(text.to_str().ok()?));
    }
    if value.is_instance_of::<PyInt>() {
        return Some(value.extract::<i64>().ok()?.to_string());
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        // With a point or an exponent, as TOML's must have.
        return Some(format!("{:?}", number.value()).replace("NaN", "nan"));
    }
    let items: Vec<Bound<'_, PyAny>> = match value.cast::<PyList>() {
        Ok(list) => list.iter().collect(),
        Err(_) => value.cast::<PyTuple>().ok()?.iter().collect(),
    };
    let items: Option<Vec<String>> = items.iter().map(toml_value).collect();
    Some(format!("[{}]", items?.join(", ")))
}

/// A text as TOML's basic string, which is JSON's but for one control character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}
