//! The queue at AWS, or at whatever speaks its protocol.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName};

use super::said;
use crate::lease::{Deleted, Hidden, Message, Queue};
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

    fn refusal(&self, what: &'static str, cause: &str) -> SourceError {
        SourceError::Queue { what, queue: self.queue_url.clone(), cause: cause.to_owned() }
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

    async fn delete(&self, receipts: &[String]) -> Result<Vec<Deleted>, SourceError> {
        let mut batch = self.client.delete_message_batch().queue_url(&self.queue_url);
        for (at, receipt) in receipts.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(receipt);
            batch = batch.entries(entry.build().map_err(|error| self.error("delete messages", &error))?);
        }
        let sent = batch.send().await.map_err(|error| self.error("delete messages", &error))?;
        let unsaid = || Deleted::Failed(self.refusal("delete a message", "the answer leaves it out"));
        let mut ended: Vec<Deleted> = receipts.iter().map(|_| unsaid()).collect();
        for done in sent.successful() {
            if let Some(ended) = done.id().parse().ok().and_then(|at: usize| ended.get_mut(at)) {
                *ended = Deleted::Done;
            }
        }
        for failed in sent.failed() {
            let error = self.refusal("delete a message", failed.code());
            if let Some(ended) = failed.id().parse().ok().and_then(|at: usize| ended.get_mut(at)) {
                let is_final = failed.sender_fault() && is_gone(failed.code());
                *ended = if is_final { Deleted::Refused(error) } else { Deleted::Failed(error) };
            }
        }
        Ok(ended)
    }

    async fn hide(&self, receipt: &str, visibility: Duration) -> Result<Hidden, SourceError> {
        let sent = self
            .client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds(visibility))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Hidden::Still),
            Err(error) if error.code().is_some_and(is_gone) => Ok(Hidden::NoLonger),
            Err(error) => Err(self.error("extend a message", &error)),
        }
    }

    async fn waiting(&self) -> Option<u64> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let asked =
            self.client.get_queue_attributes().queue_url(&self.queue_url).attribute_names(name.clone());
        asked.send().await.ok()?.attributes()?.get(&name)?.parse().ok()
    }
}

/// Whether a code says that a receipt is not, or no longer, that of a message which we hold.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>; servers that
/// speak the older protocol put `AWS.SimpleQueueService.` before it.
fn is_gone(code: &str) -> bool {
    let code = code.rsplit('.').next().unwrap_or(code);
    matches!(code, "MessageNotInflight" | "ReceiptHandleIsInvalid" | "InvalidParameterValue")
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
