//! The part "sockets": requests a second over TCP with a real client, with the layer against without it.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use arvel_session::SessionData;
use axum::Router;
use tokio::{net::TcpListener, runtime::Builder};

use crate::{
    apps::{bare, router::routes},
    case::Case,
    content::Content,
    figures::Socket,
    load::{App, Subject},
    ours::{config, layer},
    sample::Spread,
    tables,
};

/// How many connections the client keeps.
const CONNECTIONS: usize = 64;

/// One server, and what its client sends.
struct Server {
    address: SocketAddr,
    cookie: String,
}

/// Measures and prints our drivers that need no server, in turn with nothing but axum.
///
/// # Errors
/// The client, `wrk`, is not there, or a request fails.
pub fn run(quick: bool) -> Result<Vec<Socket>> {
    let (rounds, seconds) = if quick { (1, 1) } else { (9, 2) };
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut pairs = Vec::new();
    for driver in ["memory", "cookie"] {
        let servers = runtime.block_on(runtime.spawn(pair(driver)))??;
        pairs.push((driver, servers, [Vec::new(), Vec::new()]));
    }
    for round in 0..=rounds {
        for (_, servers, figures) in &mut pairs {
            for (server, figures) in servers.iter().zip(figures) {
                let per_second = ask(server, seconds)?;
                // The first one warms up.
                if round > 0 {
                    figures.push(per_second);
                }
            }
        }
    }
    let sockets = pairs.into_iter().map(|(driver, _, [without, with])| {
        let (without, with) = (Spread::of(without), Spread::of(with));
        Socket {
            driver: driver.to_owned(),
            connections: CONNECTIONS,
            without,
            with,
            part: with.median / without.median,
        }
    });
    let sockets: Vec<Socket> = sockets.collect();
    println!("\nover sockets, read, {CONNECTIONS} connections\n");
    print!("{}", tables::sockets(&sockets));
    Ok(sockets)
}

/// A server without the layer and one with it; both are sent the cookie of a session.
async fn pair(driver: &'static str) -> Result<[Server; 2]> {
    let content = Arc::new(Content::of(300));
    let with = routes::<SessionData>(content.clone()).layer(layer(config(driver))?);
    let app = App(with.clone());
    let ticket = app.create().await?;
    let user = app.ask(Case::Read, &ticket).await?;
    ensure!(user == content.user.to_string(), "it reads {user:?}");
    let cookie = ticket.to_str()?.to_owned();
    Ok([
        serve(bare(content), cookie.clone()).await?,
        serve(with, cookie).await?,
    ])
}

async fn serve(router: Router, cookie: String) -> Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(Server { address, cookie })
}

/// Requests a second.
fn ask(server: &Server, seconds: u32) -> Result<f64> {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s")])
        .args(["--header", &format!("Cookie: {}", server.cookie)])
        .arg(format!("http://{}{}", server.address, Case::Read.path()))
        .stdin(Stdio::null())
        .output()
        .context("starting wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {said}");
    ensure!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "requests failed: {said}"
    );
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    let figure = line.with_context(|| format!("wrk says nothing: {said}"))?;
    Ok(figure.trim().parse()?)
}
