//! The history server: a store of files that sees ciphertext only. Which one is used is the app's
//! choice and nobody else's, so the URLs that messages name are compared with that choice.

/// A history server that the app has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryServer(String);

impl HistoryServer {
    /// Takes an https URL, or an http one of this machine.
    #[must_use]
    pub fn new(url: &str) -> Option<Self> {
        let url = url.strip_suffix('/').unwrap_or(url);
        let rest = url.strip_prefix("https://").or_else(|| {
            url.strip_prefix("http://")
                .filter(|rest| is_this_machine(rest))
        })?;
        let plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@' | b'\\');
        let good = !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(plain);
        good.then(|| Self(url.to_owned()))
    }

    /// The URL, as a request names it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }

    /// Whether a request asks for an upload to this server.
    #[must_use]
    pub fn is(&self, server_url: &str) -> bool {
        server_url.strip_suffix('/').unwrap_or(server_url) == self.0
    }

    /// Where to POST an archive. The answer's body is the id of the file.
    #[must_use]
    pub fn upload_url(&self) -> String {
        format!("{}/upload", self.0)
    }

    /// Where the file of this id is, if it is an id.
    #[must_use]
    pub fn file_url(&self, id: &str) -> Option<String> {
        let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let good = (1..=128).contains(&id.len()) && id.bytes().all(digit);
        good.then(|| format!("{}/files/{id}", self.0))
    }

    /// Whether a reply's URL is that of a file on this server.
    #[must_use]
    pub fn has_file(&self, url: &str) -> bool {
        url.strip_prefix(self.0.as_str())
            .and_then(|rest| rest.strip_prefix("/files/"))
            .is_some_and(|id| self.file_url(id).is_some())
    }
}

/// Whether the host of `rest`, a URL without its scheme, is this machine.
fn is_this_machine(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or(rest);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|port| {
            port.is_empty()
                || port
                    .strip_prefix(':')
                    .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn servers_are_https_or_this_machine() {
        for good in [
            "https://history.example.org",
            "https://example.org/history/",
            "http://localhost:5558",
            "http://127.0.0.1:33999",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(HistoryServer::new(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "https://",
            "https:///x",
            "ftp://example.org",
            "http://example.org",
            "http://localhost.example.org",
            "http://localhost:80@example.org",
            "https://user@example.org",
            "https://example.org?x",
            "https://example.org#x",
            "https://example .org",
        ] {
            assert!(HistoryServer::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_its_own_files_and_requests_are_recognised() {
        let server = HistoryServer::new("https://a.example/").unwrap();
        assert!(server.is("https://a.example") && server.is("https://a.example/"));
        assert!(!server.is("https://b.example") && !server.is("https://a.example/x"));
        let url = server.file_url("5ac09a1e-9d17").unwrap();
        assert_eq!(url, "https://a.example/files/5ac09a1e-9d17");
        assert!(server.has_file(&url));
        for bad in [
            "https://a.example.evil/files/x",
            "https://a.example/files/",
            "https://a.example/files/../x",
            "https://a.example/files/x?y",
            "https://a.example/other/x",
            "http://a.example/files/x",
        ] {
            assert!(!server.has_file(bad), "{bad}");
        }
    }
}
