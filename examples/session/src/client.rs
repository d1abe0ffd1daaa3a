//! One connection to the server: what the load and the tests talk through.

use std::io;
use std::net::{IpAddr, SocketAddr};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

use crate::Token;
use crate::server::{Login, Me};

/// A connection that is kept alive from request to request.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The token that was given out.
    pub fn token(&self) -> Option<Token> {
        let cookie = self.headers.get(SET_COOKIE)?.to_str().ok()?;
        cookie.strip_prefix("session=")?.split(';').next()?.parse().ok()
    }

    /// The session that was told of.
    pub fn me(&self) -> Option<Me> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Connection {
    /// Connects from an address of this machine, by which the server limits the rate: all of 127.0.0.0/8 is here.
    ///
    /// # Errors
    /// The system's.
    pub async fn open(server: SocketAddr, from: IpAddr) -> io::Result<Connection> {
        let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind((from, 0).into())?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection); // What goes wrong there, `send_request` tells of.
        Ok(Connection { sender })
    }

    /// Logs a user in.
    ///
    /// # Errors
    /// What befell the connection. A request that was answered in whatever way is no error.
    pub async fn login(&mut self, user: &str) -> io::Result<Answer> {
        let body = serde_json::to_vec(&Login { user: user.to_owned() })?;
        self.ask(Method::POST, "/login", None, body).await
    }

    /// Asks who a token is.
    ///
    /// # Errors
    /// As [`login`](Connection::login).
    pub async fn me(&mut self, token: Token) -> io::Result<Answer> {
        self.ask(Method::GET, "/me", Some(token), Vec::new()).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As [`login`](Connection::login).
    pub async fn logout(&mut self, token: Token) -> io::Result<Answer> {
        self.ask(Method::POST, "/logout", Some(token), Vec::new()).await
    }

    /// Asks what is stored.
    ///
    /// # Errors
    /// As [`login`](Connection::login).
    pub async fn stats(&mut self) -> io::Result<Answer> {
        self.ask(Method::GET, "/stats", None, Vec::new()).await
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        token: Option<Token>,
        body: Vec<u8>,
    ) -> io::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if let Some(token) = token {
            request = request.header(COOKIE, format!("session={token}"));
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}
