//! SQS over AWS JSON 1.0: visibility, new receipt handles, long polls, a dead-letter queue.

use super::{Cloud, respond};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Queues {
    by_name: BTreeMap<String, Queue>,
    serial: u64,
}

struct Queue {
    visible: VecDeque<Message>,
    /// By receipt handle: what is hidden, and until when.
    hidden: BTreeMap<u64, (Message, Instant)>,
    /// The same by when they end, so that looking for what ended costs nothing where many are hidden.
    ends: BTreeSet<(Instant, u64)>,
    deliveries: u64,
    visibility: Duration,
    receives_max: u64,
    dead_letters: Option<String>,
}

#[derive(Clone)]
struct Message {
    id: u64,
    body: String,
    receives: u64,
}

impl Queue {
    fn hide(&mut self, handle: u64, message: Message, end: Instant) {
        self.ends.insert((end, handle));
        self.hidden.insert(handle, (message, end));
    }

    fn unhide(&mut self, handle: u64) -> Option<Message> {
        let (message, end) = self.hidden.remove(&handle)?;
        self.ends.remove(&(end, handle));
        Some(message)
    }

    /// The next message; now and then any.
    fn pop(&mut self, cloud: &Cloud) -> Option<Message> {
        if self.visible.len() > 1 && cloud.goes_wrong(|faults| faults.shuffled) {
            return self.visible.remove(cloud.any_of(self.visible.len()));
        }
        self.visible.pop_front()
    }
}

/// The code and the words of a refusal.
pub type Refusal = (&'static str, String);

impl Queues {
    pub fn create(&mut self, name: &str, attributes: &Value) {
        let seconds =
            attributes["VisibilityTimeout"].as_str().and_then(|text| text.parse().ok()).unwrap_or(30);
        let redrive: Value = attributes["RedrivePolicy"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let receives_max = &redrive["maxReceiveCount"];
        let receives_max =
            receives_max.as_u64().or_else(|| receives_max.as_str()?.parse().ok()).unwrap_or(u64::MAX);
        let dead_letters = redrive["deadLetterTargetArn"].as_str().map(last_part).map(str::to_owned);
        self.by_name.entry(name.to_owned()).or_insert_with(|| Queue {
            visible: VecDeque::new(),
            hidden: BTreeMap::new(),
            ends: BTreeSet::new(),
            deliveries: 0,
            visibility: Duration::from_secs(seconds),
            receives_max,
            dead_letters,
        });
    }

    fn get(&mut self, name: &str) -> Result<&mut Queue, Refusal> {
        let missing = || ("QueueDoesNotExist", format!("there is no queue {name}"));
        self.by_name.get_mut(name).ok_or_else(missing)
    }

    pub fn send(&mut self, name: &str, body: &str, delay: Duration) -> Result<String, Refusal> {
        self.serial += 1;
        let id = self.serial;
        let message = Message { id, body: body.to_owned(), receives: 0 };
        let queue = self.get(name)?;
        if delay.is_zero() {
            queue.visible.push_back(message);
        } else {
            queue.hide(id, message, Instant::now() + delay);
        }
        Ok(format!("message-{id}"))
    }

    pub fn count(&mut self, name: &str) -> (usize, usize) {
        self.expire(name);
        self.by_name.get(name).map_or((0, 0), |queue| (queue.visible.len(), queue.hidden.len()))
    }

    pub fn deliveries(&self, name: &str) -> u64 {
        self.by_name.get(name).map_or(0, |queue| queue.deliveries)
    }

    pub fn expire_all(&mut self, name: &str) {
        if let Some(queue) = self.by_name.get_mut(name) {
            queue.ends.clear();
            for (message, _) in std::mem::take(&mut queue.hidden).into_values() {
                queue.visible.push_back(message);
            }
        }
    }

    /// What was hidden long enough is visible again, or dead.
    fn expire(&mut self, name: &str) {
        let now = Instant::now();
        let Some(queue) = self.by_name.get_mut(name) else { return };
        let mut dead = Vec::new();
        while let Some((_, handle)) = queue.ends.first().copied().filter(|(end, _)| *end <= now) {
            let Some(message) = queue.unhide(handle) else { continue };
            if queue.dead_letters.is_some() && message.receives >= queue.receives_max {
                dead.push(message);
            } else {
                queue.visible.push_back(message);
            }
        }
        let target = queue.dead_letters.clone().unwrap_or_default();
        if let Some(target) = self.by_name.get_mut(&target) {
            target.visible.extend(dead);
        }
    }

    fn receive(&mut self, cloud: &Cloud, name: &str, request: &Value) -> Result<Vec<Value>, Refusal> {
        self.expire(name);
        let wanted = request["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
        let mut received = Vec::new();
        while received.len() < wanted {
            self.serial += 1;
            let handle = self.serial;
            let queue = self.get(name)?;
            let Some(mut message) = queue.pop(cloud) else { break };
            message.receives += 1;
            queue.deliveries += 1;
            received.push(json!({
                "MessageId": format!("message-{}", message.id),
                "ReceiptHandle": format!("handle-{handle}"),
                "Body": message.body,
                "Attributes": {"ApproximateReceiveCount": message.receives.to_string()},
            }));
            if cloud.goes_wrong(|faults| faults.duplicate) {
                queue.visible.push_back(message.clone());
            }
            let asked = request["VisibilityTimeout"].as_u64().map(Duration::from_secs);
            let hidden = if cloud.goes_wrong(|faults| faults.early_expiry) {
                Duration::from_millis(50)
            } else {
                asked.unwrap_or(queue.visibility)
            };
            queue.hide(handle, message, Instant::now() + hidden);
        }
        Ok(received)
    }

    /// A handle that is no longer the message's own deletes nothing and is no error, as in SQS.
    fn delete(&mut self, cloud: &Cloud, name: &str, entry: &Value) -> Result<(), Refusal> {
        let queue = self.get(name)?;
        if cloud.goes_wrong(|faults| faults.failed_delete) {
            return Err(("InternalError", "try again".to_owned()));
        }
        if !cloud.goes_wrong(|faults| faults.lost_delete) {
            queue.unhide(handle(entry)?);
        }
        Ok(())
    }

    fn change_visibility(&mut self, name: &str, entry: &Value) -> Result<(), Refusal> {
        self.expire(name);
        let (queue, handle) = (self.get(name)?, handle(entry)?);
        let hidden = Duration::from_secs(entry["VisibilityTimeout"].as_u64().unwrap_or(0));
        let Some(message) = queue.unhide(handle) else {
            return Err(("MessageNotInflight", "the message is not in flight".to_owned()));
        };
        if hidden.is_zero() {
            queue.visible.push_back(message);
        } else {
            queue.hide(handle, message, Instant::now() + hidden);
        }
        Ok(())
    }
}

pub fn url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/000000000000/{name}")
}

fn last_part(text: &str) -> &str {
    text.rsplit(['/', ':']).next().unwrap_or_default()
}

fn handle(entry: &Value) -> Result<u64, Refusal> {
    let text = entry["ReceiptHandle"].as_str().unwrap_or_default();
    let number = text.strip_prefix("handle-").and_then(|number| number.parse().ok());
    number.ok_or_else(|| ("ReceiptHandleIsInvalid", format!("`{text}` is no receipt handle")))
}

/// Answers one request; gives the queue's name too.
pub async fn answer(cloud: &Cloud, action: &str, request: &Value, host: &str) -> (String, Response) {
    let name =
        request["QueueUrl"].as_str().or(request["QueueName"].as_str()).map(last_part).unwrap_or_default();
    let outcome = if cloud.goes_wrong(|faults| faults.unavailable) {
        Err(("ServiceUnavailable", "try again".to_owned()))
    } else if cloud.goes_wrong(|faults| faults.broken) {
        Err(("InternalError", "try again".to_owned()))
    } else {
        act(cloud, action, name, request, host).await
    };
    let kind = "application/x-amz-json-1.0";
    let response = match outcome {
        Ok(body) => respond(StatusCode::OK, kind, body.to_string()),
        Err((code, message)) => {
            let status = match code {
                "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
                "InternalError" => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            let body = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message});
            respond(status, kind, body.to_string())
        }
    };
    (name.to_owned(), response)
}

async fn act(cloud: &Cloud, action: &str, name: &str, request: &Value, host: &str) -> Result<Value, Refusal> {
    if action == "ReceiveMessage" {
        return receive(cloud, name, request).await;
    }
    let mut queues = cloud.queues.lock().unwrap();
    // A batch answers for each of its entries; a failure of one is not the others'.
    let mut batch = |act: &mut dyn FnMut(&mut Queues, &Value) -> Result<Value, Refusal>| {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in request["Entries"].as_array().into_iter().flatten() {
            match act(&mut queues, entry) {
                Ok(mut done) => {
                    done["Id"] = entry["Id"].clone();
                    successful.push(done);
                }
                Err((code, message)) => failed
                    .push(json!({"Id": entry["Id"], "Code": code, "Message": message, "SenderFault": code != "InternalError"})),
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    };
    let send = |queues: &mut Queues, entry: &Value| {
        let delay = Duration::from_secs(entry["DelaySeconds"].as_u64().unwrap_or(0));
        let id = queues.send(name, entry["MessageBody"].as_str().unwrap_or_default(), delay)?;
        cloud.sent.notify_waiters();
        Ok(json!({"MessageId": id}))
    };
    match action {
        "SendMessageBatch" => batch(&mut |queues, entry| send(queues, entry)),
        "DeleteMessageBatch" => {
            batch(&mut |queues, entry| queues.delete(cloud, name, entry).map(|()| json!({})))
        }
        "ChangeMessageVisibilityBatch" => {
            batch(&mut |queues, entry| queues.change_visibility(name, entry).map(|()| json!({})))
        }
        "SendMessage" => send(&mut queues, request),
        "DeleteMessage" => queues.delete(cloud, name, request).map(|()| json!({})),
        "ChangeMessageVisibility" => {
            let changed = queues.change_visibility(name, request).map(|()| json!({}));
            cloud.sent.notify_waiters();
            changed
        }
        "CreateQueue" => {
            queues.create(name, &request["Attributes"]);
            Ok(json!({"QueueUrl": url(&format!("http://{host}"), name)}))
        }
        "GetQueueUrl" => {
            queues.get(name)?;
            Ok(json!({"QueueUrl": url(&format!("http://{host}"), name)}))
        }
        "GetQueueAttributes" => {
            queues.get(name)?;
            let (visible, hidden) = queues.count(name);
            Ok(json!({"Attributes": {
                "QueueArn": format!("arn:aws:sqs:eu-west-1:000000000000:{name}"),
                "ApproximateNumberOfMessages": visible.to_string(),
                "ApproximateNumberOfMessagesNotVisible": hidden.to_string(),
                "ApproximateNumberOfMessagesDelayed": "0",
            }}))
        }
        _ => Err(("UnsupportedOperation", action.to_owned())),
    }
}

async fn receive(cloud: &Cloud, name: &str, request: &Value) -> Result<Value, Refusal> {
    let wait = Duration::from_secs(request["WaitTimeSeconds"].as_u64().unwrap_or(0));
    let end = Instant::now() + wait;
    loop {
        let sent = cloud.sent.notified();
        let received = cloud.queues.lock().unwrap().receive(cloud, name, request)?;
        if !received.is_empty() || Instant::now() >= end {
            return Ok(json!({ "Messages": received }));
        }
        // Woken by a send, or in time to see what is visible again.
        let _ = tokio::time::timeout(Duration::from_millis(50), sent).await;
    }
}
