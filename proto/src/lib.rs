//! The XMTP v3 wire messages, for both ends: what a client sends and a node answers, and what
//! travels inside MLS. The `.proto` files under `proto/` are written for sotto and hold only the
//! messages that it uses; names and numbers are those of the wire.
//!
//! Nothing here checks anything: decoding says that bytes are protobuf, no more.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

pub use prost::{DecodeError, EncodeError, Message};

/// `xmtp.mls.api.v1`: the MLS service.
pub mod mls_api {
    include!(concat!(env!("OUT_DIR"), "/xmtp.mls.api.v1.rs"));
}

/// `xmtp.identity.api.v1`: the identity service.
pub mod identity_api {
    include!(concat!(env!("OUT_DIR"), "/xmtp.identity.api.v1.rs"));
}

/// `xmtp.identity.associations`: identity updates and their signatures.
pub mod associations {
    include!(concat!(env!("OUT_DIR"), "/xmtp.identity.associations.rs"));
}

/// `xmtp.mls.message_contents`: group context extensions, envelopes, content.
pub mod message_contents {
    include!(concat!(env!("OUT_DIR"), "/xmtp.mls.message_contents.rs"));
}

/// `xmtp.device_sync` and below: archives, and the sync group of an inbox's own installations.
pub mod device_sync {
    include!(concat!(env!("OUT_DIR"), "/xmtp.device_sync.rs"));
}

/// RPC paths, `/package.Service/Method`, as HTTP sees them.
pub mod paths {
    macro_rules! paths {
        ($($name:ident = $service:literal / $method:literal;)*) => {
            $(pub const $name: &str = concat!("/", $service, "/", $method);)*
            /// Every path above.
            pub const ALL: &[&str] = &[$($name),*];
        };
    }

    paths! {
        SEND_GROUP_MESSAGES = "xmtp.mls.api.v1.MlsApi" / "SendGroupMessages";
        QUERY_GROUP_MESSAGES = "xmtp.mls.api.v1.MlsApi" / "QueryGroupMessages";
        GET_NEWEST_GROUP_MESSAGE = "xmtp.mls.api.v1.MlsApi" / "GetNewestGroupMessage";
        SUBSCRIBE_GROUP_MESSAGES = "xmtp.mls.api.v1.MlsApi" / "SubscribeGroupMessages";
        SEND_WELCOME_MESSAGES = "xmtp.mls.api.v1.MlsApi" / "SendWelcomeMessages";
        QUERY_WELCOME_MESSAGES = "xmtp.mls.api.v1.MlsApi" / "QueryWelcomeMessages";
        SUBSCRIBE_WELCOME_MESSAGES = "xmtp.mls.api.v1.MlsApi" / "SubscribeWelcomeMessages";
        SUBSCRIBE = "xmtp.mls.api.v1.MlsApi" / "Subscribe";
        UPLOAD_KEY_PACKAGE = "xmtp.mls.api.v1.MlsApi" / "UploadKeyPackage";
        REGISTER_INSTALLATION = "xmtp.mls.api.v1.MlsApi" / "RegisterInstallation";
        FETCH_KEY_PACKAGES = "xmtp.mls.api.v1.MlsApi" / "FetchKeyPackages";
        BATCH_PUBLISH_COMMIT_LOG = "xmtp.mls.api.v1.MlsApi" / "BatchPublishCommitLog";
        BATCH_QUERY_COMMIT_LOG = "xmtp.mls.api.v1.MlsApi" / "BatchQueryCommitLog";
        PUBLISH_IDENTITY_UPDATE = "xmtp.identity.api.v1.IdentityApi" / "PublishIdentityUpdate";
        GET_IDENTITY_UPDATES = "xmtp.identity.api.v1.IdentityApi" / "GetIdentityUpdates";
        GET_INBOX_IDS = "xmtp.identity.api.v1.IdentityApi" / "GetInboxIds";
        VERIFY_SMART_CONTRACT_WALLET_SIGNATURES = "xmtp.identity.api.v1.IdentityApi" / "VerifySmartContractWalletSignatures";
    }
}
