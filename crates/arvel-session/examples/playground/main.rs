//! The playground: everything that a session can do, to try in a browser or over HTTP.
//!
//! `cargo run --release --example playground`, then open the address that it prints. It takes every `SESSION_*` setting.
//! A request comes in through `router`: `forms.rs` serves people and `api.rs` programs, `page.rs` shows the result.

mod api;
mod forms;
mod page;
mod parts;
mod protocol;
mod response;
mod site;
mod words;

use std::{error::Error, net::SocketAddr, process::ExitCode};

use arvel_session::{Secret, SessionConfig, SessionManager, StartSession, store::DatabaseStore};
use axum::{
    Router, middleware,
    routing::{get, post},
};
use tokio::net::TcpListener;

use crate::site::Site;

#[tokio::main]
#[allow(clippy::print_stderr, reason = "a program that people start by hand")]
async fn main() -> ExitCode {
    let Err(error) = serve().await else {
        return ExitCode::SUCCESS;
    };
    eprintln!("playground: {}", explain(&*error));
    ExitCode::FAILURE
}

/// The error with its causes.
fn explain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", explain(cause)),
        None => error.to_string(),
    }
}

#[allow(clippy::print_stdout, reason = "a program that people start by hand")]
async fn serve() -> Result<(), Box<dyn Error>> {
    let mut config = SessionConfig::load()?;
    if config.settings().secret_key.is_none() {
        config = config.secret_key(Secret::generate());
        println!("No SESSION_SECRET_KEY is set: made a key for this run. Sessions end with it.");
    }
    let store = SessionManager::new(config.clone())?.store()?;
    migrate(&config).await?;
    let sessions = StartSession::new(store.clone()).try_build()?;
    let address = address();
    let listener = TcpListener::bind(&address)
        .await
        .map_err(|error| format!("PLAYGROUND_ADDR = {address}: {error}"))?;
    println!(
        "Sessions are kept by the {} driver.",
        store.capabilities().name
    );
    println!("Playground: http://{}/", listener.local_addr()?);
    let app = router(Site::new(store, &config), sessions);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

/// Makes the table of the database driver. A database that is down is no reason not to start: until it is back, the
/// playground shows what an application does then.
#[allow(clippy::print_stdout, reason = "a program that people start by hand")]
async fn migrate(config: &SessionConfig) -> Result<(), arvel_session::Error> {
    if config.settings().driver != "database" {
        return Ok(());
    }
    match DatabaseStore::from_config(config)?.migrate().await {
        Err(error) if error.is_unavailable() => {
            println!(
                "The table could not be made; start again when the database is there. {}",
                explain(&error)
            );
            Ok(())
        }
        done => done,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the address is the playground's own setting"
)]
fn address() -> String {
    std::env::var("PLAYGROUND_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned())
}

fn router(site: Site, sessions: StartSession) -> Router {
    Router::new()
        .route("/", get(forms::home))
        .route("/session", post(api::session))
        .route("/plain", get(api::plain))
        .route("/stream", get(api::stream))
        .route("/{action}", get(forms::stop).post(forms::act))
        .layer(sessions)
        .route("/health", get(api::health))
        .layer(middleware::from_fn_with_state(
            site.clone(),
            response::complete,
        ))
        .with_state(site)
}
