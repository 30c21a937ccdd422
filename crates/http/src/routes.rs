//! How endpoints are put on their paths.

use axum::{Router, routing::MethodRouter};

use crate::App;

/// Registers endpoints under the prefixes that clients use.
pub trait ClientRoutes: Sized {
    /// Under `/_matrix/client/v3` and its older name `r0`. `path` starts with a slash; variables as `{name}`.
    #[must_use]
    fn v3(self, path: &str, methods: MethodRouter<App>) -> Self;

    /// Under `v3`, `r0` and `unstable`, for what clients called by the unstable name for long.
    #[must_use]
    fn v3_and_unstable(self, path: &str, methods: MethodRouter<App>) -> Self;

    /// Under `/_matrix/client/v1`.
    #[must_use]
    fn v1(self, path: &str, methods: MethodRouter<App>) -> Self;

    /// Under `/_matrix/client/unstable`.
    #[must_use]
    fn unstable(self, path: &str, methods: MethodRouter<App>) -> Self;
}

impl ClientRoutes for Router<App> {
    fn v3(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.route(&format!("/_matrix/client/v3{path}"), methods.clone())
            .route(&format!("/_matrix/client/r0{path}"), methods)
    }

    fn v3_and_unstable(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.v3(path, methods.clone()).unstable(path, methods)
    }

    fn v1(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.route(&format!("/_matrix/client/v1{path}"), methods)
    }

    fn unstable(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.route(&format!("/_matrix/client/unstable{path}"), methods)
    }
}
