//! One record of a load: AWS's fields in AWS's order, written straight as text.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use super::super::chance::Chance;
use super::callers::Caller;
use super::operations::{Operation, Shape};
use chrono::DateTime;
use std::io::Write;

/// A policy document as it stands in a request: JSON, escaped into a string.
const POLICY: &str = r#"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"ReadOrders\",\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"s3:ListBucket\"],\"Resource\":[\"arn:aws:s3:::orders-NAME\",\"arn:aws:s3:::orders-NAME/*\"],\"Condition\":{\"StringEquals\":{\"aws:PrincipalTag/team\":\"NAME\"}}},{\"Sid\":\"NoPlainText\",\"Effect\":\"Deny\",\"Action\":\"s3:*\",\"Resource\":\"*\",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}}}]}"#;

const PEOPLE: [&str; 6] = ["Zoë Müller", "José Núñez", "東京チーム", "Łukasz", "Ana", "Søren"];

/// Appends one record.
pub fn write(out: &mut Vec<u8>, chance: &mut Chance, caller: &Caller, region: &str, at: i64) {
    // Writing to memory does not fail.
    let _ = try_write(out, chance, caller, region, at);
}

fn try_write(
    out: &mut Vec<u8>,
    chance: &mut Chance,
    caller: &Caller,
    region: &str,
    at: i64,
) -> std::io::Result<()> {
    let Some((operation, _)) = chance.weighted(&caller.operations, |(_, weight)| *weight) else {
        return Ok(());
    };
    let Operation { service, name, shape, reads, is_data } = *operation;
    let session = usize::try_from(chance.below(caller.identities.len() as u64)).unwrap_or(0);
    let identity = caller.identities.get(session).map_or("{}", String::as_str);
    let arn = caller.arns.get(session).map_or("", String::as_str);
    let (address, client) =
        if caller.is_service { (arn, arn) } else { (caller.address.as_str(), caller.client) };
    let time = DateTime::from_timestamp(at, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ");
    write!(
        out,
        r#"{{"eventVersion":"1.11","userIdentity":{identity},"eventTime":"{time}","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"{region}","sourceIPAddress":"{address}","userAgent":"{client}","#,
    )?;
    let has_failed = chance.per_mille(50);
    if has_failed {
        fail(out, chance, arn, operation)?;
    }
    let thing = Thing {
        account: caller.account,
        region,
        name: format!("{service}-{}", chance.below(40)),
        key: chance.hex(16),
    };
    out.extend_from_slice(br#""requestParameters":"#);
    request(out, chance, &thing, operation)?;
    out.extend_from_slice(br#","responseElements":"#);
    if has_failed || reads {
        out.extend_from_slice(b"null")
    } else {
        response(out, chance, &thing, shape)?
    }
    if shape == Shape::Object {
        write!(
            out,
            r#","additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{}=","bytesTransferredOut":{}}}"#,
            chance.name(75),
            chance.below(1_000_000),
        )?;
    }
    write!(out, r#","requestID":"{}","eventID":"{}","readOnly":{reads}"#, chance.uuid(), chance.uuid())?;
    resources(out, &thing, shape)?;
    let category = if is_data { "Data" } else { "Management" };
    write!(
        out,
        r#","eventType":"AwsApiCall","managementEvent":{},"recipientAccountId":"{}","eventCategory":"{category}""#,
        !is_data, caller.account
    )?;
    if !caller.is_service {
        write!(
            out,
            r#","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.{region}.amazonaws.com"}}"#
        )?;
    }
    out.push(b'}');
    Ok(())
}

/// What a call is about.
struct Thing<'a> {
    account: &'a str,
    region: &'a str,
    name: String,
    key: String,
}

fn fail(out: &mut Vec<u8>, chance: &mut Chance, arn: &str, operation: &Operation) -> std::io::Result<()> {
    let Operation { service, name, .. } = operation;
    match chance.below(5) {
        0..=2 => write!(
            out,
            r#""errorCode":"AccessDenied","errorMessage":"User: {arn} is not authorized to perform: {service}:{name} because no identity-based policy allows the {service}:{name} action","#
        ),
        3 => write!(out, r#""errorCode":"ThrottlingException","errorMessage":"Rate exceeded","#),
        _ => write!(
            out,
            r#""errorCode":"ResourceNotFoundException","errorMessage":"The resource that you asked for does not exist.","#
        ),
    }
}

fn request(
    out: &mut Vec<u8>,
    chance: &mut Chance,
    thing: &Thing<'_>,
    operation: &Operation,
) -> std::io::Result<()> {
    let Thing { account, region, name, key } = thing;
    match operation.shape {
        Shape::Object => write!(
            out,
            r#"{{"bucketName":"{name}","Host":"{name}.s3.{region}.amazonaws.com","key":"2026/11/05/part-{key}.parquet","x-id":"{}"}}"#,
            operation.name
        ),
        Shape::Item => write!(
            out,
            r#"{{"tableName":"{name}","key":{{"pk":"ORDER#{key}","sk":"v{}"}},"consistentRead":false,"returnConsumedCapacity":"TOTAL"}}"#,
            chance.below(9)
        ),
        Shape::Key => write!(
            out,
            r#"{{"encryptionContext":{{"aws:s3:arn":"arn:aws:s3:::{name}/{key}","purpose":"envelope"}},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}}"#
        ),
        Shape::Session => write!(
            out,
            r#"{{"roleArn":"arn:aws:iam::{account}:role/agents/{name}","roleSessionName":"run-{key}","durationSeconds":3600,"tags":[{{"key":"owner","value":"{}"}}]}}"#,
            person(chance)
        ),
        Shape::Policy => write!(
            out,
            r#"{{"roleName":"{name}","policyName":"inline-{}","policyDocument":"{}"}}"#,
            chance.below(20),
            POLICY.replace("NAME", name)
        ),
        Shape::Look => match chance.below(3) {
            0 => write!(out, "null"),
            1 => {
                write!(out, r#"{{"maxResults":{},"nextToken":"{}"}}"#, 50 + chance.below(50), chance.name(32))
            }
            _ => write!(
                out,
                r#"{{"filterSet":{{"items":[{{"name":"tag:team","valueSet":{{"items":[{{"value":"{name}"}}]}}}},{{"name":"vpc-id","valueSet":{{"items":[{{"value":"vpc-{key}"}}]}}}}]}},"maxResults":1000}}"#
            ),
        },
        Shape::Change => write!(
            out,
            r#"{{"name":"{name}","clientToken":"{}","description":"made by {} for \"{name}\"","configuration":{{"mode":"standard","retries":{},"target":"arn:aws:{}:{region}:{account}:thing/{name}/{key}","subnetIds":["subnet-{key}","subnet-0a{}"],"enabled":true,"ratio":0.75}},"tags":[{{"key":"Name","value":"{name}"}},{{"key":"owner","value":"{}"}},{{"key":"cost-center","value":"{}"}}]}}"#,
            chance.uuid(),
            person(chance),
            chance.below(5),
            operation.service,
            chance.hex(15),
            person(chance),
            chance.below(1000),
        ),
    }
}

fn response(out: &mut Vec<u8>, chance: &mut Chance, thing: &Thing<'_>, shape: Shape) -> std::io::Result<()> {
    let Thing { account, region, name, key } = thing;
    match shape {
        Shape::Session => write!(
            out,
            r#"{{"credentials":{{"accessKeyId":"{}","sessionToken":"IQoJb3JpZ2luX2VjE{}//////////w==","expiration":"Nov 5, 2026, 1:0{}:00 PM"}},"assumedRoleUser":{{"assumedRoleId":"{}:run-{key}","arn":"arn:aws:sts::{account}:assumed-role/{name}/run-{key}"}}}}"#,
            chance.aws_id("ASIA"),
            chance.name(420),
            chance.below(10),
            chance.aws_id("AROA"),
        ),
        Shape::Change => write!(
            out,
            r#"{{"arn":"arn:aws:service:{region}:{account}:thing/{name}/{key}","status":"PENDING","createdAt":"Nov 5, 2026, 9:{}:11 AM","versionId":"{}","owner":{{"id":"{account}","displayName":"{}"}},"_return":true}}"#,
            chance.between(10, 59),
            chance.name(32),
            person(chance),
        ),
        _ => write!(out, "null"),
    }
}

fn resources(out: &mut Vec<u8>, thing: &Thing<'_>, shape: Shape) -> std::io::Result<()> {
    let Thing { account, region, name, key } = thing;
    match shape {
        Shape::Object => write!(
            out,
            r#","resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{name}/2026/11/05/part-{key}.parquet"}},{{"accountId":"{account}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{name}"}}]"#
        ),
        Shape::Item => write!(
            out,
            r#","resources":[{{"accountId":"{account}","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:{region}:{account}:table/{name}"}}]"#
        ),
        Shape::Key => write!(
            out,
            r#","resources":[{{"accountId":"{account}","type":"AWS::KMS::Key","ARN":"arn:aws:kms:{region}:{account}:key/5f0c7b52-6d1e-4a3f-9b60-0d8d3a4f7e11"}}]"#
        ),
        Shape::Session => write!(
            out,
            r#","resources":[{{"accountId":"{account}","type":"AWS::IAM::Role","ARN":"arn:aws:iam::{account}:role/agents/{name}"}}]"#
        ),
        _ => Ok(()),
    }
}

fn person(chance: &mut Chance) -> &'static str {
    chance.pick(&PEOPLE).copied().unwrap_or("Ana")
}
