//! Requests to an admin server.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;

use mesh_config::diagnostic::render::escape;
use serde_json::Value;

/// Where a mesh serves what it knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

/// How long to wait for a connection, and then for each piece of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// So much of an answer is read.
const MOST: u64 = 64 << 20;

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Default for Address {
    /// Where Envoy has its own.
    fn default() -> Self {
        Self("127.0.0.1:15000".to_owned())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let authority: http::uri::Authority = bare.parse().map_err(|_| "write http://127.0.0.1:15000".to_owned())?;
        match authority.port() {
            Some(_) => Ok(Self(authority.to_string())),
            None => Ok(Self(format!("{authority}:80"))),
        }
    }
}

impl Address {
    /// What the server says at a path.
    pub(super) fn json(&self, path: &str) -> Result<Value, String> {
        let mut text = String::new();
        self.open(path)?.take(MOST).read_to_string(&mut text).map_err(|error| self.problem(&error))?;
        serde_json::from_str(&text).map_err(|_| format!("{} answers {path} with what is no JSON", self.0))
    }

    /// The lines of an answer that goes on.
    pub(super) fn lines(&self, path: &str) -> Result<impl Iterator<Item = String> + use<>, String> {
        Ok(self.open(path)?.lines().map_while(Result::ok))
    }

    /// Asks for a change; gives what the server says of it.
    pub(super) fn post(&self, path: &str, token: &str) -> Result<String, String> {
        let more = format!("authorization: Bearer {token}\r\ncontent-length: 0\r\n");
        let mut text = String::new();
        let reader = self.send("POST", path, &more)?;
        reader.take(MOST).read_to_string(&mut text).map_err(|error| self.problem(&error))?;
        Ok(escape(text.trim()).into_owned())
    }

    fn open(&self, path: &str) -> Result<BufReader<TcpStream>, String> {
        self.send("GET", path, "")
    }

    fn send(&self, method: &str, path: &str, more: &str) -> Result<BufReader<TcpStream>, String> {
        let problem = |error: &dyn std::fmt::Display| self.problem(error);
        let address = self.0.to_socket_addrs().map_err(|error| problem(&error))?.next();
        let address = address.ok_or_else(|| problem(&"the name has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| problem(&error))?;
        // Signs of life of a tap come more often.
        stream.set_read_timeout(Some(3 * PATIENCE)).map_err(|error| problem(&error))?;
        // An answer to 1.0 comes as it is and ends with the connection.
        write!(stream, "{method} {path} HTTP/1.0\r\nhost: {}\r\naccept: application/json\r\n{more}\r\n", self.0)
            .map_err(|error| problem(&error))?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        let mut next = |line: &mut String| {
            line.clear();
            reader.by_ref().take(16 << 10).read_line(line).map_err(|error| problem(&error))
        };
        next(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        while next(&mut line)? > 0 && !line.trim_end().is_empty() {}
        match status {
            Some(200..=299) => Ok(reader),
            Some(status) => {
                let mut why = String::new();
                // Without its reason a refusal is one still.
                let _ = reader.take(1 << 10).read_to_string(&mut why);
                Err(format!("{} answers {path} with {status}: {}", self.0, why.trim()))
            }
            None => Err(format!("{} does not speak HTTP", self.0)),
        }
    }

    fn problem(&self, error: &dyn std::fmt::Display) -> String {
        format!("no admin server at {}: {error}", self.0)
    }
}

/// A value of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_a_url_or_without_its_scheme() {
        let read = |text: &str| text.parse::<Address>().map(|address| address.0);
        assert_eq!(read("http://127.0.0.1:15000/"), Ok("127.0.0.1:15000".to_owned()));
        assert_eq!(read("[::1]:15000"), Ok("[::1]:15000".to_owned()));
        assert_eq!(read("http://localhost"), Ok("localhost:80".to_owned()));
        assert!(read("https://localhost").is_err() && read("http://a/b").is_err() && read("").is_err());
    }
}
