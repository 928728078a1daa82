//! actix-session's cookie store, encrypted (its default), and bare actix beneath it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_http::{Request, header::HeaderValue};
use actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
use actix_web::{
    App, Error, Result as WebResult,
    body::MessageBody,
    cookie::Key,
    dev::{Service, ServiceResponse},
    http::{
        StatusCode,
        header::{COOKIE, SET_COOKIE},
    },
    test::{TestRequest, init_service},
    web::{Data, ServiceConfig, get},
};
use anyhow::{Result, anyhow, ensure};

use super::{Application, Cookies, Local, Reply};
use crate::content::{Content, VISITS};

/// Routes that answer what the others answer, without sessions.
pub(super) fn bare(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let routes = |config: &mut ServiceConfig| {
            let user = |content: Data<Content>| async move { content.user.to_string() };
            config
                .route("/read", get().to(user))
                .route("/count", get().to(async || "1"))
                .route("/untouched", get().to(async || "untouched"))
                .route("/new", get().to(user))
                .route("/regenerate", get().to(async || "regenerated"));
        };
        let app = App::new().app_data(Data::from(content)).configure(routes);
        Ok(Box::new(Actix(init_service(app).await)) as Box<dyn Application>)
    })
}

/// Sealed in the browser.
pub(super) fn cookie(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let routes = |config: &mut ServiceConfig| {
            config
                .route("/read", get().to(read))
                .route("/count", get().to(count))
                .route("/untouched", get().to(async || "untouched"))
                .route("/new", get().to(fill))
                .route("/regenerate", get().to(regenerate));
        };
        let sessions = SessionMiddleware::new(CookieSessionStore::default(), Key::generate());
        let app = App::new()
            .app_data(Data::from(content))
            .wrap(sessions)
            .configure(routes);
        Ok(Box::new(Actix(init_service(app).await)) as Box<dyn Application>)
    })
}

async fn read(session: Session) -> WebResult<String> {
    Ok(session.get::<u64>("user")?.unwrap_or_default().to_string())
}

async fn count(session: Session) -> WebResult<String> {
    let visits = session.get::<i64>(VISITS)?.unwrap_or(0) + 1;
    session.insert(VISITS, visits)?;
    Ok(visits.to_string())
}

async fn fill(session: Session, content: Data<Content>) -> WebResult<String> {
    session.insert("user", content.user)?;
    session.insert("name", &content.name)?;
    session.insert("csrf", &content.csrf)?;
    session.insert("cart", &content.cart)?;
    session.insert("locale", &content.locale)?;
    Ok(content.user.to_string())
}

async fn regenerate(session: Session) -> WebResult<&'static str> {
    session.renew();
    Ok("regenerated")
}

struct Actix<S>(S);

impl<S, B> Application for Actix<S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    fn send<'a>(&'a self, path: &'static str, cookie: Option<&'a str>) -> Local<'a, Result<Reply>> {
        Box::pin(async move {
            let cookie = cookie.map(HeaderValue::from_str).transpose()?;
            let response = self.exchange(path, cookie).await?;
            let status = response.status().as_u16();
            let cookies = response.headers().get_all(SET_COOKIE);
            let cookies = cookies.map(|line| Ok(line.to_str()?.to_owned()));
            let cookies = cookies.collect::<Result<_>>()?;
            let body = actix_web::body::to_bytes(response.into_body()).await;
            let body = body.map_err(|_| anyhow!("the body failed"))?;
            Ok(Reply {
                status,
                cookies,
                body: String::from_utf8(body.to_vec())?,
            })
        })
    }

    fn prepare(
        &self,
        path: &'static str,
        cookies: &Cookies,
    ) -> Result<Local<'_, Result<Duration>>> {
        let cookies = cookies.values(|cookie| Ok(HeaderValue::from_str(cookie)?))?;
        Ok(Box::pin(async move {
            let mut failed = 0;
            let start = Instant::now();
            for cookie in cookies {
                let response = self.exchange(path, cookie).await?;
                failed += usize::from(response.status() != StatusCode::OK);
                let body = actix_web::body::to_bytes(response.into_body()).await;
                body.map_err(|_| anyhow!("the body failed"))?;
            }
            let took = start.elapsed();
            ensure!(failed == 0, "{failed} requests of {path} failed");
            Ok(took)
        }))
    }
}

impl<S, B> Actix<S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
{
    async fn exchange(
        &self,
        path: &str,
        cookie: Option<HeaderValue>,
    ) -> Result<ServiceResponse<B>> {
        let mut request = TestRequest::with_uri(path);
        if let Some(cookie) = cookie {
            request = request.insert_header((COOKIE, cookie));
        }
        let response = self.0.call(request.to_request()).await;
        response.map_err(|error| anyhow!("{path}: {error}"))
    }
}
