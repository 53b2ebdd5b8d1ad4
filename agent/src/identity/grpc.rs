//! Calls over a Unix socket.

use std::{path::Path, time::Duration};

use hyper::http::uri::PathAndQuery;
use tonic::{
    Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

/// Longest time for one call, the connection included.
const CALL: Duration = Duration::from_secs(2);

/// Most bytes of an answer.
const ANSWER: usize = 8 << 20;

/// A service behind a socket. It connects when it is first asked, and again when the connection was lost.
#[derive(Clone, Debug)]
pub struct Socket(Channel);

impl Socket {
    /// Nothing is opened yet.
    ///
    /// # Errors
    /// The path is not text.
    pub fn new(path: &Path) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("unix://{}", path.display()))?;
        Ok(Self(endpoint.timeout(CALL).connect_timeout(CALL).connect_lazy()))
    }

    /// Calls a method, such as `/runtime.v1.RuntimeService/Version`.
    ///
    /// # Errors
    /// There is nobody, it took too long, or the answer was an error.
    pub async fn call<Q, A>(&self, method: &'static str, request: Request<Q>) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let call = async {
            let mut client = Grpc::new(self.0.clone()).max_decoding_message_size(ANSWER);
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let codec = ProstCodec::<Q, A>::default();
            client.unary(request, PathAndQuery::from_static(method), codec).await
        };
        // Waiting for a connection is not bounded by the endpoint's own timeout.
        match tokio::time::timeout(CALL, call).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}
