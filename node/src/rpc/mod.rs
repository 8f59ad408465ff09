//! The unary RPCs: decoded messages in, encoded messages or a status out. How they travel is
//! `http`'s affair.

mod identity;
mod mls;

use prost::Message;
use sotto_proto::paths;

use crate::{
    limits::{Charge, ClientKey},
    node::Node,
    status::Status,
    subscribe::feed::Feed,
    view::query::MAX_ANSWER,
};

macro_rules! rpcs {
    ($($name:ident = $path:ident;)*) => {
        /// The RPCs of this node.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rpc {
            $(#[doc = concat!("`", stringify!($name), "`.")] $name,)*
        }

        impl Rpc {
            /// Every RPC, in the order of its discriminant.
            pub const ALL: &[Rpc] = &[$(Rpc::$name),*];

            /// The RPC at an HTTP path.
            pub fn at(path: &str) -> Option<Self> {
                match path {
                    $(paths::$path => Some(Rpc::$name),)*
                    _ => None,
                }
            }

            /// The method's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Rpc::$name => stringify!($name),)*
                }
            }
        }
    };
}

rpcs! {
    SendGroupMessages = SEND_GROUP_MESSAGES;
    QueryGroupMessages = QUERY_GROUP_MESSAGES;
    GetNewestGroupMessage = GET_NEWEST_GROUP_MESSAGE;
    SubscribeGroupMessages = SUBSCRIBE_GROUP_MESSAGES;
    SendWelcomeMessages = SEND_WELCOME_MESSAGES;
    QueryWelcomeMessages = QUERY_WELCOME_MESSAGES;
    SubscribeWelcomeMessages = SUBSCRIBE_WELCOME_MESSAGES;
    Subscribe = SUBSCRIBE;
    UploadKeyPackage = UPLOAD_KEY_PACKAGE;
    RegisterInstallation = REGISTER_INSTALLATION;
    FetchKeyPackages = FETCH_KEY_PACKAGES;
    BatchPublishCommitLog = BATCH_PUBLISH_COMMIT_LOG;
    BatchQueryCommitLog = BATCH_QUERY_COMMIT_LOG;
    PublishIdentityUpdate = PUBLISH_IDENTITY_UPDATE;
    GetIdentityUpdates = GET_IDENTITY_UPDATES;
    GetInboxIds = GET_INBOX_IDS;
    VerifySmartContractWalletSignatures = VERIFY_SMART_CONTRACT_WALLET_SIGNATURES;
}

/// Entries of a batch that cost as much as one more call.
const READ_CHUNK: usize = 100;

/// Who calls, and what they are charged.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The node.
    pub node: &'a Node,
    /// The client.
    pub client: ClientKey,
}

impl Caller<'_> {
    fn charge(&self, charge: Charge, cost: usize) -> Result<(), Status> {
        self.node.limiter.charge(self.client, charge, cost)
    }

    /// A read of `entries` things: charged, and answered from a view that shows all that was
    /// acknowledged.
    async fn read(&self, entries: usize) -> Result<(), Status> {
        self.charge(Charge::Read, 1 + entries / READ_CHUNK)?;
        self.node.log.catch_up().await
    }

    /// A publish of `records` records.
    fn write(&self, records: usize) -> Result<(), Status> {
        self.charge(Charge::Write, records)
    }
}

/// The answer to a request of one message.
pub enum Reply {
    /// One encoded message.
    Message(Vec<u8>),
    /// A subscription.
    Stream(Feed),
}

/// Runs any RPC but `Subscribe`, whose requests are a stream.
///
/// # Errors
/// The status to answer with; nothing was stored then, or storing failed half-way and the same
/// request may be sent again.
pub async fn call(caller: Caller<'_>, rpc: Rpc, request: &[u8]) -> Result<Reply, Status> {
    // A macro, since the handlers borrow the caller and have types of their own.
    macro_rules! unary {
        ($handler:path) => {
            Ok(Reply::Message(
                $handler(caller, decode(request)?).await?.encode_to_vec(),
            ))
        };
    }
    match rpc {
        Rpc::SendGroupMessages => unary!(mls::send_group_messages),
        Rpc::QueryGroupMessages => unary!(mls::query_group_messages),
        Rpc::GetNewestGroupMessage => unary!(mls::get_newest_group_message),
        Rpc::SubscribeGroupMessages => mls::subscribe_group_messages(caller, decode(request)?)
            .await
            .map(Reply::Stream),
        Rpc::SendWelcomeMessages => unary!(mls::send_welcome_messages),
        Rpc::QueryWelcomeMessages => unary!(mls::query_welcome_messages),
        Rpc::SubscribeWelcomeMessages => mls::subscribe_welcome_messages(caller, decode(request)?)
            .await
            .map(Reply::Stream),
        Rpc::UploadKeyPackage => unary!(mls::upload_key_package),
        Rpc::RegisterInstallation => unary!(mls::register_installation),
        Rpc::FetchKeyPackages => unary!(mls::fetch_key_packages),
        Rpc::BatchPublishCommitLog => unary!(mls::batch_publish_commit_log),
        Rpc::BatchQueryCommitLog => unary!(mls::batch_query_commit_log),
        Rpc::PublishIdentityUpdate => unary!(identity::publish_identity_update),
        Rpc::GetIdentityUpdates => unary!(identity::get_identity_updates),
        Rpc::GetInboxIds => unary!(identity::get_inbox_ids),
        Rpc::VerifySmartContractWalletSignatures => unary!(identity::verify_signatures),
        Rpc::Subscribe => Err(Status::new(
            crate::status::Code::Unimplemented,
            "this transport cannot carry a bidirectional stream",
        )),
    }
}

fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, Status> {
    T::decode(bytes).map_err(|_| Status::invalid("the request does not decode"))
}

/// Adds up the parts of an answer that has no pages.
#[derive(Default)]
struct Answer {
    bytes: usize,
}

impl Answer {
    /// Makes room for `bytes` more.
    ///
    /// # Errors
    /// `ResourceExhausted` when no client could decode the answer.
    fn add(&mut self, bytes: usize) -> Result<(), Status> {
        self.bytes += bytes;
        if self.bytes > MAX_ANSWER {
            return Err(Status::exhausted(
                "the answer would be too large: ask for fewer at once",
            ));
        }
        Ok(())
    }
}

/// Refuses requests with no entries or more than `most`.
fn bounded(what: &str, len: usize, most: usize) -> Result<(), Status> {
    match len {
        0 => Err(Status::invalid(format!("no {what}"))),
        len if len > most => Err(Status::invalid(format!("more than {most} {what}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_wire_has_an_rpc_and_its_name_ends_the_path() {
        for path in paths::ALL {
            let rpc = Rpc::at(path).unwrap_or_else(|| panic!("{path}"));
            assert!(path.ends_with(&format!("/{}", rpc.name())));
        }
        assert_eq!(paths::ALL.len(), Rpc::ALL.len());
    }

    #[test]
    fn discriminants_index_the_list() {
        for (index, rpc) in Rpc::ALL.iter().enumerate() {
            assert_eq!(*rpc as usize, index);
        }
    }
}
