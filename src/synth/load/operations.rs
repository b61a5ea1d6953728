//! What is called in a load: 40 services with 199 operations, the busiest first in each.

/// What a call's request, response and resources look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An object in a bucket, with what S3 adds
    Object,
    /// An item of a table
    Item,
    /// A cryptographic use of a key
    Key,
    /// A role's session, with the token that is handed out
    Session,
    /// A policy document, escaped into a string
    Policy,
    /// Something is looked at
    Look,
    /// Something is made or changed
    Change,
}

const SERVICES: &str = "\
s3 GetObject PutObject HeadObject ListObjects DeleteObject CopyObject GetBucketAcl PutBucketPolicy GetBucketLocation ListBuckets
sts AssumeRole GetCallerIdentity AssumeRoleWithWebIdentity
kms Decrypt GenerateDataKey Encrypt DescribeKey PutKeyPolicy ListAliases
dynamodb GetItem PutItem Query UpdateItem BatchGetItem DescribeTable ListTables CreateTable
ec2 DescribeInstances DescribeSecurityGroups DescribeVolumes DescribeSubnets RunInstances TerminateInstances CreateTags AuthorizeSecurityGroupIngress DescribeVpcs DescribeImages CreateSnapshot
lambda Invoke GetFunction20150331v2 ListFunctions20150331 UpdateFunctionCode20150331v2 CreateFunction20150331 GetPolicy20150331v2
logs CreateLogStream DescribeLogGroups CreateLogGroup PutRetentionPolicy FilterLogEvents StartQuery
iam GetRole ListRoles CreateRole PutRolePolicy AttachRolePolicy CreatePolicyVersion GetUser ListAttachedRolePolicies CreateAccessKey GetPolicyVersion
sqs ReceiveMessage SendMessage DeleteMessage GetQueueAttributes CreateQueue ListQueues
sns Publish Subscribe CreateTopic GetTopicAttributes ListTopics
ssm GetParameter GetParameters GetParametersByPath DescribeParameters PutParameter UpdateInstanceInformation StartSession
secretsmanager GetSecretValue DescribeSecret ListSecrets PutSecretValue CreateSecret
ecs DescribeTasks RunTask DescribeServices ListTasks UpdateService RegisterTaskDefinition
ecr BatchGetImage GetDownloadUrlForLayer GetAuthorizationToken DescribeRepositories PutImage
eks DescribeCluster ListClusters DescribeNodegroup UpdateClusterConfig
monitoring DescribeAlarms PutMetricAlarm GetMetricData ListMetrics DeleteAlarms
cloudformation DescribeStacks ListStackResources CreateStack UpdateStack DescribeStackEvents
autoscaling DescribeAutoScalingGroups SetDesiredCapacity UpdateAutoScalingGroup DescribeScalingActivities
elasticloadbalancing DescribeLoadBalancers DescribeTargetHealth RegisterTargets DescribeTargetGroups
rds DescribeDBInstances CreateDBSnapshot DescribeDBClusters ModifyDBInstance DescribeDBSnapshots
bedrock InvokeModel InvokeModelWithResponseStream ListFoundationModels GetFoundationModel Converse
athena StartQueryExecution GetQueryExecution GetQueryResults GetWorkGroup ListWorkGroups
glue GetTable GetTables GetDatabase GetPartitions CreateTable UpdateTable
kinesis GetRecords DescribeStream PutRecord ListStreams
firehose PutRecordBatch DescribeDeliveryStream ListDeliveryStreams
states StartExecution DescribeExecution GetExecutionHistory ListStateMachines
events PutRule PutTargets ListRules DescribeRule
route53 ListHostedZones ChangeResourceRecordSets ListResourceRecordSets GetChange
cloudfront GetDistribution2020_05_31 ListDistributions2020_05_31 CreateInvalidation2020_05_31
cloudtrail LookupEvents DescribeTrails GetTrailStatus StopLogging
config DescribeConfigRules PutEvaluations SelectResourceConfig GetComplianceDetailsByConfigRule
guardduty ListFindings GetFindings ListDetectors
organizations DescribeOrganization ListAccounts ListPolicies DescribePolicy
tagging GetResources GetTagKeys TagResources
apigateway GetRestApis GetStages CreateDeployment
elasticache DescribeCacheClusters DescribeReplicationGroups ModifyCacheCluster
redshift DescribeClusters GetClusterCredentials DescribeClusterSnapshots
sagemaker InvokeEndpoint DescribeTrainingJob CreateTrainingJob ListTrainingJobs DescribeEndpoint
codebuild BatchGetBuilds StartBuild ListProjects
codepipeline PollForJobs GetPipelineState StartPipelineExecution PutJobSuccessResult ListPipelines";

/// One operation of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The event source without its domain.
    pub service: &'static str,
    /// `eventName`.
    pub name: &'static str,
    /// How its records look.
    pub shape: Shape,
    /// Whether it only reads.
    pub reads: bool,
    /// Whether it is logged as a data event.
    pub is_data: bool,
}

/// All of them, by service.
pub fn all() -> Vec<Operation> {
    let rows = SERVICES.lines().filter_map(|line| line.split_once(' '));
    rows.flat_map(|(service, names)| names.split(' ').map(move |name| operation(service, name))).collect()
}

fn operation(service: &'static str, name: &'static str) -> Operation {
    let shape = match (service, name) {
        ("s3", "GetObject" | "PutObject" | "HeadObject" | "DeleteObject" | "CopyObject") => Shape::Object,
        ("dynamodb", "GetItem" | "PutItem" | "Query" | "UpdateItem" | "BatchGetItem") => Shape::Item,
        ("kms", "Decrypt" | "GenerateDataKey" | "Encrypt") => Shape::Key,
        ("sts", "AssumeRole" | "AssumeRoleWithWebIdentity") => Shape::Session,
        (_, "PutBucketPolicy" | "PutKeyPolicy" | "PutRolePolicy" | "CreatePolicyVersion" | "CreateRole") => {
            Shape::Policy
        }
        _ if looks(name) => Shape::Look,
        _ => Shape::Change,
    };
    let is_data = matches!(shape, Shape::Object | Shape::Item) || name == "Invoke";
    Operation { service, name, shape, reads: looks(name) || shape == Shape::Key, is_data }
}

fn looks(name: &str) -> bool {
    const VERBS: [&str; 9] =
        ["Get", "List", "Describe", "Head", "Query", "Lookup", "BatchGet", "Filter", "Poll"];
    VERBS.iter().any(|verb| name.starts_with(verb))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_forty_services_with_199_operations() {
        let services: BTreeSet<&str> = all().iter().map(|operation| operation.service).collect();
        let names: BTreeSet<_> = all().iter().map(|operation| (operation.service, operation.name)).collect();
        assert_eq!((services.len(), names.len(), all().len()), (40, 199, 199));
    }
}
