//! HTTP in front of the store.
//!
//! | request | answer |
//! |---|---|
//! | `POST /login` with `{"user": "ada"}` | 200, and the token in a cookie. Who the user is, somebody else has made sure of |
//! | `GET /me` with the cookie | 200 and the session; 401 if there is none |
//! | `POST /logout` with the cookie | 204, whether there was a session or not |
//! | `GET /stats` | 200 and what is stored; takes no token from the bucket |
//! | any, too often | 429, and in `Retry-After` the seconds until the next one is let in |
//!
//! An answer is sent behind the commit: what a client has seen is there after a crash.
//!
//! # One lock
//! A segment is written through `&mut` and read through `&`, which is what an `RwLock` lends; nothing else is between a
//! request and the memory. A thread of its own that owned the segment would cost each request two switches to another
//! thread, a hundred times as long as the transaction for which it would be asked. A plain mutex would do, but then those who
//! only read would wait for each other. The lock is std's and not tokio's: it is never held across an `await`, and for
//! microseconds.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{Admission, Micros, Stats, Store, Token, now};

/// How many sessions a sweep ends before it lets others in.
const SWEPT_AT_ONCE: usize = 256;

/// How often ended sessions and full buckets are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The longest name of a user, in bytes.
const USER_LEN_MAX: usize = 256;

/// The store, shared by the threads of a server.
#[derive(Debug)]
pub struct Shared(RwLock<Store>);

impl Shared {
    /// Shares a store.
    pub fn new(store: Store) -> Arc<Shared> {
        Arc::new(Shared(RwLock::new(store)))
    }

    /// Lends it for reading. A thread that panicked while it wrote has rolled its transaction back on the way, so that
    /// what it leaves is sound.
    pub fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends it for writing.
    pub fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store again, if nobody else has it any more.
    pub fn into_store(self: Arc<Self>) -> Option<Store> {
        let shared = Arc::into_inner(self)?;
        Some(shared.0.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves until `end` comes, and sweeps meanwhile. Requests that are under way then are answered.
///
/// # Errors
/// The system's.
pub async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let sweeper = tokio::spawn(sweep(shared.clone()));
    let service = router(shared).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(end).await;
    sweeper.abort();
    let _ = sweeper.await; // Cancelled, which was the wish.
    served
}

/// All that is served.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .route_layer(middleware::from_fn_with_state(shared.clone(), admit))
        .route("/stats", get(stats))
        .with_state(shared)
}

async fn sweep(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = sweep_once(&shared).await {
            eprintln!("session: sweep: {error}");
        }
    }
}

async fn sweep_once(shared: &Shared) -> vista::Result<()> {
    while shared.write().sweep(now(), SWEPT_AT_ONCE)? == SWEPT_AT_ONCE {
        tokio::task::yield_now().await; // Those who wait for the lock come first.
    }
    // Behind the sweep: a new map takes space, and in a full file that is what the sweep makes.
    shared.write().turn(now())?;
    Ok(())
}

/// Lets a request in, if its client has a token left.
async fn admit(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let admission = shared.write().admit(peer.ip().to_canonical().into(), now())?;
    Ok(match admission {
        Admission::Yes => next.run(request).await,
        Admission::NotBefore(wait) => {
            let seconds = wait.div_ceil(1_000_000).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)]).into_response()
        }
    })
}

/// The body of `POST /login`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Login {
    /// Who it is.
    pub user: String,
}

/// The answer to `GET /me`.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Me {
    /// Who it is.
    pub user: String,
    /// When the session began, in microseconds since the epoch.
    pub began_at: Micros,
    /// When it ends if nobody asks for it.
    pub ends_at: Micros,
}

async fn login(
    State(shared): State<Arc<Shared>>,
    Json(Login { user }): Json<Login>,
) -> Result<Response, Failure> {
    if user.is_empty() || user.len() > USER_LEN_MAX {
        return Ok(StatusCode::UNPROCESSABLE_ENTITY.into_response());
    }
    let token = Token::random()?;
    shared.write().login(token, &user, now())?;
    // `Secure` belongs there as soon as there is TLS in front.
    let cookie = format!("session={token}; HttpOnly; SameSite=Lax; Path=/");
    Ok(([(SET_COOKIE, cookie)], "").into_response())
}

async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Failure> {
    let Some(token) = token_of(&headers) else { return Ok(StatusCode::UNAUTHORIZED.into_response()) };
    let now = now();
    let (me, is_waning) = {
        let store = shared.read();
        let Some((user, session)) = store.session(token, now)? else {
            return Ok(StatusCode::UNAUTHORIZED.into_response());
        };
        let me = Me { user: user.to_owned(), began_at: session.began_at, ends_at: session.ends_at };
        (me, store.is_waning(session, now))
    };
    if is_waning {
        shared.write().renew(token, now)?; // False if it was ended since: as if that had come a moment later.
    }
    Ok(Json(me).into_response())
}

async fn logout(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<StatusCode, Failure> {
    if let Some(token) = token_of(&headers) {
        shared.write().logout(token)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn stats(State(shared): State<Arc<Shared>>) -> Result<Json<Stats>, Failure> {
    Ok(Json(shared.read().stats()?))
}

/// The token in the cookies of a request.
fn token_of(headers: &HeaderMap) -> Option<Token> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix("session=")?.parse().ok())
}

/// Why a request could not be answered.
struct Failure {
    status: StatusCode,
    error: String,
}

impl From<vista::Error> for Failure {
    fn from(error: vista::Error) -> Self {
        let status = match error {
            vista::Error::NoSpace { .. } => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure { status, error: error.to_string() }
    }
}

impl From<getrandom::Error> for Failure {
    fn from(error: getrandom::Error) -> Self {
        Failure { status: StatusCode::INTERNAL_SERVER_ERROR, error: error.to_string() }
    }
}

/// The reason goes to the operator; the client learns the status alone.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("session: {}", self.error);
        self.status.into_response()
    }
}
