//! Static files, for the demo and small deployments.

use std::{
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS},
};

use super::{Body, text};

/// A directory whose files are served.
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Serves what is below `root`.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn new(root: &Path) -> std::io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(std::io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root })
    }

    /// Answers GET and HEAD. A directory is its `index.html`.
    pub async fn serve<B>(&self, path: &str, request: &Request<B>) -> Response<Body> {
        let Some(file) = self.locate(path) else {
            return text(StatusCode::NOT_FOUND, "not found\n");
        };
        // Links may lead out of the directory: look at where they end.
        let Ok(mut file) = tokio::fs::canonicalize(&file).await else {
            return text(StatusCode::NOT_FOUND, "not found\n");
        };
        if file.is_dir() {
            if !path.ends_with('/') {
                return redirect(path);
            }
            file.push("index.html");
        }
        if !file.starts_with(&self.root) {
            return text(StatusCode::NOT_FOUND, "not found\n");
        }
        let (Ok(metadata), Ok(bytes)) = (
            tokio::fs::metadata(&file).await,
            tokio::fs::read(&file).await,
        ) else {
            return text(StatusCode::NOT_FOUND, "not found\n");
        };

        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let tag = format!(
            "\"{:x}-{:x}\"",
            bytes.len(),
            modified.unwrap_or_default().as_nanos()
        );
        let known = request
            .headers()
            .get(IF_NONE_MATCH)
            .is_some_and(|value| value == tag.as_str());
        let mut response = Response::new(match request.method() {
            _ if known => Body::empty(),
            &Method::HEAD => Body::empty(),
            _ => Body::full(bytes),
        });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(&file)));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Always asked for again, and answered by the tag when nothing changed.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        response
    }

    /// The file that a request path names, if it names one below the root.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let decoded = percent_decode(path)?;
        let relative = Path::new(decoded.trim_start_matches('/'));
        let plain = |part: Component<'_>| matches!(part, Component::Normal(name) if !name.to_string_lossy().starts_with('.'));
        relative
            .components()
            .all(plain)
            .then(|| self.root.join(relative))
    }
}

fn redirect(path: &str) -> Response<Body> {
    let mut response = text(StatusCode::PERMANENT_REDIRECT, "");
    if let Ok(location) = HeaderValue::from_str(&format!("{path}/")) {
        response
            .headers_mut()
            .insert(http::header::LOCATION, location);
    }
    response
}

fn percent_decode(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).ok()?;
            out.extend(decoded);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out)
        .ok()
        .filter(|path| !path.contains('\0'))
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(files: &Files, path: &str) -> Response<Body> {
        files.serve(path, &Request::new(())).await
    }

    #[tokio::test]
    async fn files_come_with_their_type_and_nothing_outside_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("www");
        std::fs::create_dir_all(root.join("sub dir")).unwrap();
        std::fs::write(directory.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("index.html"), "<p>").unwrap();
        std::fs::write(root.join("a.wasm"), "\0asm").unwrap();
        std::fs::write(root.join(".env"), "secret").unwrap();
        std::fs::write(root.join("sub dir/index.html"), "<b>").unwrap();
        std::os::unix::fs::symlink(directory.path().join("secret"), root.join("link")).unwrap();
        let files = Files::new(&root).unwrap();

        let index = get(&files, "/").await;
        assert_eq!(index.status(), StatusCode::OK);
        assert_eq!(index.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let wasm = get(&files, "/a.wasm").await;
        assert_eq!(wasm.headers()[CONTENT_TYPE], "application/wasm");
        assert_eq!(get(&files, "/sub%20dir/").await.status(), StatusCode::OK);
        assert_eq!(
            get(&files, "/sub%20dir").await.status(),
            StatusCode::PERMANENT_REDIRECT
        );
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/link",
            "/.env",
            "/none",
            "/%zz",
            "//etc/passwd",
        ] {
            assert_eq!(
                get(&files, path).await.status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn a_known_tag_is_answered_without_the_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.js"), "1").unwrap();
        let files = Files::new(directory.path()).unwrap();
        let tag = get(&files, "/a.js").await.headers()[ETAG].clone();
        let mut request = Request::new(());
        request.headers_mut().insert(IF_NONE_MATCH, tag);
        let response = files.serve("/a.js", &request).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    }
}
