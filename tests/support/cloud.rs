//! A customer's side of a cloud, through AWS's own SDK: the same calls for moto and for our own fake.

use super::runtime;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName as Attribute};

/// Clients of an endpoint.
pub struct Cloud {
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Cloud {
    /// Clients of the S3 and SQS at `url`.
    pub fn at(url: &str) -> Cloud {
        let shared = runtime().block_on(
            aws_config::defaults(BehaviorVersion::latest())
                .endpoint_url(url)
                .region(Region::new("eu-west-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "story"))
                .load(),
        );
        let s3 = aws_sdk_s3::config::Builder::from(&shared).force_path_style(true).build();
        Cloud { s3: aws_sdk_s3::Client::from_conf(s3), sqs: aws_sdk_sqs::Client::new(&shared) }
    }

    /// A bucket that tells a new queue of every object; gives the queue's URL.
    pub fn bucket_with_queue(&self, bucket: &str, queue: &str) -> String {
        runtime().block_on(async {
            let url = self.sqs.create_queue().queue_name(queue).send().await.unwrap().queue_url.unwrap();
            let attributes =
                self.sqs.get_queue_attributes().queue_url(&url).attribute_names(Attribute::QueueArn);
            let attributes = attributes.send().await.unwrap().attributes.unwrap();
            let place =
                CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1);
            let create = self.s3.create_bucket().bucket(bucket).create_bucket_configuration(place.build());
            create.send().await.unwrap();
            let tells = QueueConfiguration::builder()
                .queue_arn(&attributes[&Attribute::QueueArn])
                .events(Event::from("s3:ObjectCreated:*"))
                .build()
                .unwrap();
            let tells = NotificationConfiguration::builder().queue_configurations(tells).build();
            let notify = self.s3.put_bucket_notification_configuration().bucket(bucket);
            notify.notification_configuration(tells).send().await.unwrap();
            url
        })
    }

    /// Stores an object.
    pub fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        let put = self.s3.put_object().bucket(bucket).key(key).body(bytes.into());
        runtime().block_on(put.send()).unwrap();
    }

    /// Sends a message as it is.
    pub fn send(&self, queue_url: &str, body: &str) {
        runtime().block_on(self.sqs.send_message().queue_url(queue_url).message_body(body).send()).unwrap();
    }

    /// Fetches an object whole.
    pub fn fetch(&self, bucket: &str, key: &str) -> Result<Vec<u8>, String> {
        runtime().block_on(async {
            let object =
                self.s3.get_object().bucket(bucket).key(key).send().await.map_err(|e| e.to_string())?;
            let bytes = object.body.collect().await.map_err(|e| e.to_string())?;
            Ok(bytes.to_vec())
        })
    }

    /// The keys of a bucket.
    pub fn list(&self, bucket: &str) -> Vec<String> {
        let list = runtime().block_on(self.s3.list_objects_v2().bucket(bucket).send()).unwrap();
        list.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }

    /// Receives at most one message and deletes it; gives its body.
    pub fn take(&self, queue_url: &str) -> Vec<serde_json::Value> {
        runtime().block_on(async {
            let receive = self.sqs.receive_message().queue_url(queue_url).wait_time_seconds(1);
            let messages = receive.send().await.unwrap().messages.unwrap_or_default();
            let mut bodies = Vec::new();
            for message in messages {
                let handle = message.receipt_handle.unwrap();
                self.sqs.delete_message().queue_url(queue_url).receipt_handle(handle).send().await.unwrap();
                bodies.push(serde_json::from_str(&message.body.unwrap()).unwrap());
            }
            bodies
        })
    }

    /// Receives ten messages and deletes them in one batch; gives how many went and how many were refused.
    pub fn delete_ten(&self, queue_url: &str) -> (usize, usize) {
        runtime().block_on(async {
            let receive = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
            let messages = receive.send().await.unwrap().messages.unwrap_or_default();
            let mut batch = self.sqs.delete_message_batch().queue_url(queue_url);
            for (number, message) in messages.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
                let handle = message.receipt_handle().unwrap();
                batch = batch.entries(entry.receipt_handle(handle).build().unwrap());
            }
            let answer = batch.send().await.unwrap();
            (answer.successful().len(), answer.failed().len())
        })
    }

    /// Messages waiting, and messages that somebody is working on.
    pub fn messages(&self, queue_url: &str) -> (usize, usize) {
        let ask = self.sqs.get_queue_attributes().queue_url(queue_url);
        let answer =
            runtime().block_on(ask.attribute_names(Attribute::All).send()).unwrap().attributes.unwrap();
        let number = |name: Attribute| answer[&name].parse().unwrap();
        (
            number(Attribute::ApproximateNumberOfMessages),
            number(Attribute::ApproximateNumberOfMessagesNotVisible),
        )
    }
}
