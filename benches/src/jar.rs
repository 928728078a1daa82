//! A browser's cookies, as far as the contenders need one.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::{apps::Application, case::Case};

/// What the browser holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jar(BTreeMap<String, String>);

impl Jar {
    /// Takes the lines of `Set-Cookie` of a response.
    pub fn take<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        for line in lines {
            let pair = line.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// The header `Cookie` of the next request; none where there are no cookies.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Sends one request with these cookies, keeps those that come back, and answers the body.
///
/// # Errors
/// The status is not 200.
pub async fn visit(app: &dyn Application, case: Case, jar: &mut Jar) -> Result<String> {
    let cookie = jar.header();
    let reply = app.send(case.path(), cookie.as_deref()).await?;
    ensure!(
        reply.status == 200,
        "{case:?}: status {}: {}",
        reply.status,
        reply.body
    );
    jar.take(reply.cookies.iter().map(String::as_str));
    Ok(reply.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sends_back_the_newest_of_each_name() {
        let mut jar = Jar::default();
        assert_eq!(jar.header(), None);
        jar.take(["a=1; Path=/; HttpOnly", "b=2"]);
        jar.take(["a=3=; Path=/"]);
        assert_eq!(jar.header().as_deref(), Some("a=3=; b=2"));
    }
}
