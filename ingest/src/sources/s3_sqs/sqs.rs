//! The queue at AWS, or at whatever speaks its protocol.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
use aws_sdk_sqs::types::QueueAttributeName;

use super::said;
use crate::lease::{Message, Queue};
use crate::source::SourceError;
use crate::sources::S3SqsConfig;

pub(super) struct Sqs {
    client: Client,
    queue_url: String,
    visibility: Duration,
    wait: Duration,
}

impl Sqs {
    pub(super) fn new(shared: &SdkConfig, config: &S3SqsConfig) -> Self {
        let client = Client::new(shared);
        Self { client, queue_url: config.queue_url.clone(), visibility: config.visibility, wait: config.wait }
    }

    /// Asks the queue for its attributes: takes no message, needs `sqs:GetQueueAttributes`.
    pub(super) async fn answers(&self) -> Result<(), SourceError> {
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(&self.queue_url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await;
        asked.map(|_| ()).map_err(|error| self.error("read the attributes", &error))
    }

    fn error(&self, what: &'static str, error: &dyn std::error::Error) -> SourceError {
        SourceError::Queue { what, queue: self.queue_url.clone(), cause: said(error) }
    }
}

#[async_trait]
impl Queue for Sqs {
    async fn receive(&self, messages_max: usize) -> Result<Vec<Message>, SourceError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(i32::try_from(messages_max).unwrap_or(1))
            .visibility_timeout(seconds(self.visibility))
            .wait_time_seconds(seconds(self.wait))
            .message_system_attribute_names(ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| self.error("receive", &error))?;
        // Without a receipt a message cannot be deleted; it comes back with one.
        let message = |message: aws_sdk_sqs::types::Message| {
            let count = message.attributes.as_ref().and_then(|all| all.get(&ApproximateReceiveCount));
            let attempt = count.and_then(|count| count.parse().ok()).unwrap_or(1);
            Some(Message {
                receipt: message.receipt_handle?,
                body: message.body.unwrap_or_default(),
                attempt,
            })
        };
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    async fn delete(&self, receipt: &str) -> Result<(), SourceError> {
        let sent =
            self.client.delete_message().queue_url(&self.queue_url).receipt_handle(receipt).send().await;
        sent.map(|_| ()).map_err(|error| self.error("delete a message", &error))
    }

    async fn hide(&self, receipt: &str, visibility: Duration) -> Result<(), SourceError> {
        let sent = self
            .client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds(visibility))
            .send()
            .await;
        sent.map(|_| ()).map_err(|error| self.error("extend a message", &error))
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
