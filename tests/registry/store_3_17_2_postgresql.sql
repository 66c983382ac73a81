-- A PostgreSQL database as mlflow 3.17.2 made it, dumped by pg_dump --no-owner, without its
-- comments: two versions of face registered and promoted one after the other, by the commands of
-- registry/ with the files of tests/registry/registration_files.py. @WORKSPACE@ stands for the
-- folder that its artifacts lay in.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.prevent_secrets_aad_mutation() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.secret_id != NEW.secret_id OR OLD.secret_name != NEW.secret_name THEN
        RAISE EXCEPTION 'secret_id and secret_name are immutable (used as AAD in encryption)';
    END IF;
    RETURN NEW;
END;
$$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.assessments (
    assessment_id character varying(50) NOT NULL,
    trace_id character varying(50) NOT NULL,
    name character varying(250) NOT NULL,
    assessment_type character varying(20) NOT NULL,
    value text NOT NULL,
    error text,
    created_timestamp bigint NOT NULL,
    last_updated_timestamp bigint NOT NULL,
    source_type character varying(50) NOT NULL,
    source_id character varying(250),
    run_id character varying(32),
    span_id character varying(50),
    rationale text,
    overrides character varying(50),
    valid boolean NOT NULL,
    assessment_metadata text,
    experiment_id integer,
    trace_timestamp_ms bigint,
    aggregate_value double precision,
    is_numeric_value boolean DEFAULT false NOT NULL
);
CREATE TABLE public.budget_policies (
    budget_policy_id character varying(36) NOT NULL,
    budget_unit character varying(32) NOT NULL,
    budget_amount double precision NOT NULL,
    duration_unit character varying(32) NOT NULL,
    duration_value integer NOT NULL,
    target_scope character varying(32) NOT NULL,
    budget_action character varying(32) NOT NULL,
    created_by character varying(255),
    created_at bigint NOT NULL,
    last_updated_by character varying(255),
    last_updated_at bigint NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    target_value character varying(255)
);
CREATE TABLE public.datasets (
    dataset_uuid character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    name character varying(500) NOT NULL,
    digest character varying(36) NOT NULL,
    dataset_source_type character varying(36) NOT NULL,
    dataset_source text NOT NULL,
    dataset_schema text,
    dataset_profile text
);
CREATE TABLE public.endpoint_bindings (
    endpoint_id character varying(36) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(255) NOT NULL,
    created_at bigint NOT NULL,
    created_by character varying(255),
    last_updated_at bigint NOT NULL,
    last_updated_by character varying(255),
    display_name character varying(255)
);
CREATE TABLE public.endpoint_model_mappings (
    mapping_id character varying(36) NOT NULL,
    endpoint_id character varying(36) NOT NULL,
    model_definition_id character varying(36) NOT NULL,
    weight double precision NOT NULL,
    created_by character varying(255),
    created_at bigint NOT NULL,
    linkage_type character varying(64) DEFAULT 'PRIMARY'::character varying NOT NULL,
    fallback_order integer
);
CREATE TABLE public.endpoint_tags (
    key character varying(250) NOT NULL,
    value character varying(5000),
    endpoint_id character varying(36) NOT NULL
);
CREATE TABLE public.endpoints (
    endpoint_id character varying(36) NOT NULL,
    name character varying(255),
    created_by character varying(255),
    created_at bigint NOT NULL,
    last_updated_by character varying(255),
    last_updated_at bigint NOT NULL,
    routing_strategy character varying(64),
    fallback_config_json text,
    experiment_id integer,
    usage_tracking boolean DEFAULT false NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.entity_associations (
    association_id character varying(36) NOT NULL,
    source_type character varying(36) NOT NULL,
    source_id character varying(36) NOT NULL,
    destination_type character varying(36) NOT NULL,
    destination_id character varying(36) NOT NULL,
    created_time bigint
);
CREATE TABLE public.evaluation_dataset_records (
    dataset_record_id character varying(36) NOT NULL,
    dataset_id character varying(36) NOT NULL,
    inputs json NOT NULL,
    expectations json,
    tags json,
    source json,
    source_id character varying(36),
    source_type character varying(255),
    created_time bigint,
    last_update_time bigint,
    created_by character varying(255),
    last_updated_by character varying(255),
    input_hash character varying(64) NOT NULL,
    outputs json
);
CREATE TABLE public.evaluation_dataset_tags (
    dataset_id character varying(36) NOT NULL,
    key character varying(255) NOT NULL,
    value character varying(5000)
);
CREATE TABLE public.evaluation_datasets (
    dataset_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    schema text,
    profile text,
    digest character varying(64),
    created_time bigint,
    last_update_time bigint,
    created_by character varying(255),
    last_updated_by character varying(255),
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.experiment_tags (
    key character varying(250) NOT NULL,
    value text,
    experiment_id integer NOT NULL
);
CREATE TABLE public.experiments (
    experiment_id integer NOT NULL,
    name character varying(256) NOT NULL,
    artifact_location character varying(256),
    lifecycle_stage character varying(32),
    creation_time bigint,
    last_update_time bigint,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    CONSTRAINT experiments_lifecycle_stage CHECK (((lifecycle_stage)::text = ANY ((ARRAY['active'::character varying, 'deleted'::character varying])::text[])))
);
CREATE SEQUENCE public.experiments_experiment_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.experiments_experiment_id_seq OWNED BY public.experiments.experiment_id;
CREATE TABLE public.guardrail_configs (
    endpoint_id character varying(36) NOT NULL,
    guardrail_id character varying(36) NOT NULL,
    execution_order integer,
    created_by character varying(255),
    created_at bigint NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.guardrails (
    guardrail_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    scorer_id character varying(36) NOT NULL,
    scorer_version integer NOT NULL,
    stage character varying(32) NOT NULL,
    action character varying(32) NOT NULL,
    action_endpoint_id character varying(36),
    created_by character varying(255),
    created_at bigint NOT NULL,
    last_updated_by character varying(255),
    last_updated_at bigint NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.input_tags (
    input_uuid character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    value character varying(500) NOT NULL
);
CREATE TABLE public.inputs (
    input_uuid character varying(36) NOT NULL,
    source_type character varying(36) NOT NULL,
    source_id character varying(36) NOT NULL,
    destination_type character varying(36) NOT NULL,
    destination_id character varying(36) NOT NULL,
    step bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.issues (
    issue_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    name character varying(250) NOT NULL,
    description text NOT NULL,
    status character varying(50) NOT NULL,
    severity character varying(50),
    root_causes text,
    source_run_id character varying(32),
    categories text,
    created_timestamp bigint NOT NULL,
    last_updated_timestamp bigint NOT NULL,
    created_by character varying(255)
);
CREATE TABLE public.job_locks (
    lock_key character varying(255) NOT NULL,
    job_id character varying(36) NOT NULL,
    acquired_at bigint NOT NULL
);
CREATE TABLE public.jobs (
    id character varying(36) NOT NULL,
    creation_time bigint NOT NULL,
    job_name character varying(500) NOT NULL,
    params text NOT NULL,
    timeout double precision,
    status integer NOT NULL,
    result text,
    retry_count integer NOT NULL,
    last_update_time bigint NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    status_details json,
    creator character varying(255),
    executor_backend character varying(255),
    lease_expires_at bigint,
    status_message text,
    progress json,
    progress_updated_at bigint,
    token_hash character varying(64),
    scoped_permissions json,
    next_attempt_at bigint
);
CREATE TABLE public.label_schemas (
    schema_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    name character varying(250) NOT NULL,
    type character varying(16) NOT NULL,
    instruction text,
    enable_comment boolean DEFAULT false NOT NULL,
    input_type character varying(32) NOT NULL,
    input_config text NOT NULL,
    created_by character varying(255),
    created_time bigint NOT NULL,
    last_update_time bigint NOT NULL,
    is_default boolean DEFAULT false NOT NULL
);
CREATE TABLE public.latest_metrics (
    key character varying(250) NOT NULL,
    value double precision NOT NULL,
    "timestamp" bigint,
    step bigint NOT NULL,
    is_nan boolean NOT NULL,
    run_uuid character varying(32) NOT NULL
);
CREATE TABLE public.logged_model_metrics (
    model_id character varying(36) NOT NULL,
    metric_name character varying(500) NOT NULL,
    metric_timestamp_ms bigint NOT NULL,
    metric_step bigint NOT NULL,
    metric_value double precision,
    experiment_id integer NOT NULL,
    run_id character varying(32) NOT NULL,
    dataset_uuid character varying(36),
    dataset_name character varying(500),
    dataset_digest character varying(36)
);
CREATE TABLE public.logged_model_params (
    model_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    param_key character varying(255) NOT NULL,
    param_value text NOT NULL
);
CREATE TABLE public.logged_model_tags (
    model_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    tag_key character varying(255) NOT NULL,
    tag_value text NOT NULL
);
CREATE TABLE public.logged_models (
    model_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    name character varying(500) NOT NULL,
    artifact_location character varying(1000) NOT NULL,
    creation_timestamp_ms bigint NOT NULL,
    last_updated_timestamp_ms bigint NOT NULL,
    status integer NOT NULL,
    lifecycle_stage character varying(32),
    model_type character varying(500),
    source_run_id character varying(32),
    status_message character varying(1000),
    CONSTRAINT logged_models_lifecycle_stage_check CHECK (((lifecycle_stage)::text = ANY ((ARRAY['active'::character varying, 'deleted'::character varying])::text[])))
);
CREATE TABLE public.mcp_access_endpoints (
    id character varying(36) NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    server_name character varying(256) NOT NULL,
    server_version character varying(128),
    server_alias character varying(256),
    url character varying(2048) NOT NULL,
    transport_type character varying(32) DEFAULT 'streamable-http'::character varying NOT NULL,
    created_by character varying(256),
    last_updated_by character varying(256),
    created_at bigint NOT NULL,
    last_updated_at bigint NOT NULL
);
CREATE TABLE public.mcp_server_aliases (
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    name character varying(256) NOT NULL,
    alias character varying(256) NOT NULL,
    version character varying(128) NOT NULL
);
CREATE TABLE public.mcp_server_tags (
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    name character varying(256) NOT NULL,
    key character varying(250) NOT NULL,
    value character varying(5000)
);
CREATE TABLE public.mcp_server_version_tags (
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    name character varying(256) NOT NULL,
    version character varying(128) NOT NULL,
    key character varying(250) NOT NULL,
    value character varying(5000)
);
CREATE TABLE public.mcp_server_versions (
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    name character varying(256) NOT NULL,
    version character varying(128) NOT NULL,
    version_major integer NOT NULL,
    version_minor integer NOT NULL,
    version_patch integer NOT NULL,
    version_prerelease_sort_key character varying(512) NOT NULL,
    server_json json NOT NULL,
    status character varying(20) DEFAULT 'draft'::character varying NOT NULL,
    tools json,
    source character varying(512),
    connect_options json,
    created_by character varying(256),
    last_updated_by character varying(256),
    created_at bigint NOT NULL,
    last_updated_at bigint NOT NULL
);
CREATE TABLE public.mcp_servers (
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL,
    name character varying(256) NOT NULL,
    display_name character varying(256),
    description text,
    icons json,
    created_by character varying(256),
    last_updated_by character varying(256),
    created_at bigint NOT NULL,
    last_updated_at bigint NOT NULL
);
CREATE TABLE public.metrics (
    key character varying(250) NOT NULL,
    value double precision NOT NULL,
    "timestamp" bigint NOT NULL,
    run_uuid character varying(32) NOT NULL,
    step bigint DEFAULT '0'::bigint NOT NULL,
    is_nan boolean DEFAULT false NOT NULL
);
CREATE TABLE public.model_definitions (
    model_definition_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    secret_id character varying(36),
    provider character varying(64) NOT NULL,
    model_name character varying(256) NOT NULL,
    created_by character varying(255),
    created_at bigint NOT NULL,
    last_updated_by character varying(255),
    last_updated_at bigint NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.model_version_tags (
    key character varying(250) NOT NULL,
    value text,
    name character varying(256) NOT NULL,
    version integer NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.model_versions (
    name character varying(256) NOT NULL,
    version integer NOT NULL,
    creation_time bigint,
    last_updated_time bigint,
    description character varying(5000),
    user_id character varying(256),
    current_stage character varying(20),
    source character varying(500),
    run_id character varying(32),
    status character varying(20),
    status_message character varying(500),
    run_link character varying(500),
    storage_location character varying(500),
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.online_scoring_configs (
    online_scoring_config_id character varying(36) NOT NULL,
    scorer_id character varying(36) NOT NULL,
    sample_rate double precision NOT NULL,
    experiment_id integer NOT NULL,
    filter_string text
);
CREATE TABLE public.params (
    key character varying(250) NOT NULL,
    value character varying(8000) NOT NULL,
    run_uuid character varying(32) NOT NULL
);
CREATE TABLE public.registered_model_aliases (
    alias character varying(256) NOT NULL,
    version integer NOT NULL,
    name character varying(256) NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.registered_model_tags (
    key character varying(250) NOT NULL,
    value character varying(5000),
    name character varying(256) NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.registered_models (
    name character varying(256) NOT NULL,
    creation_time bigint,
    last_updated_time bigint,
    description character varying(5000),
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.review_queue_items (
    queue_id character varying(36) NOT NULL,
    item_type character varying(16) NOT NULL,
    item_id character varying(50) NOT NULL,
    status character varying(16) NOT NULL,
    completed_by character varying(250),
    completed_time_ms bigint,
    creation_time_ms bigint NOT NULL,
    last_update_time_ms bigint NOT NULL
);
CREATE TABLE public.review_queue_label_schemas (
    queue_id character varying(36) NOT NULL,
    schema_id character varying(36) NOT NULL
);
CREATE TABLE public.review_queue_users (
    queue_id character varying(36) NOT NULL,
    user_id character varying(250) NOT NULL
);
CREATE TABLE public.review_queues (
    queue_id character varying(36) NOT NULL,
    experiment_id integer NOT NULL,
    name character varying(250) NOT NULL,
    queue_type character varying(16) NOT NULL,
    created_by character varying(255),
    creation_time_ms bigint NOT NULL,
    last_update_time_ms bigint NOT NULL,
    name_key character varying(250) NOT NULL
);
CREATE TABLE public.runs (
    run_uuid character varying(32) NOT NULL,
    name character varying(250),
    source_type character varying(20),
    source_name character varying(500),
    entry_point_name character varying(50),
    user_id character varying(256),
    status character varying(9),
    start_time bigint,
    end_time bigint,
    source_version character varying(50),
    lifecycle_stage character varying(20),
    artifact_uri character varying(200),
    experiment_id integer,
    deleted_time bigint,
    CONSTRAINT runs_lifecycle_stage CHECK (((lifecycle_stage)::text = ANY ((ARRAY['active'::character varying, 'deleted'::character varying])::text[]))),
    CONSTRAINT runs_status_check CHECK (((status)::text = ANY ((ARRAY['SCHEDULED'::character varying, 'FAILED'::character varying, 'FINISHED'::character varying, 'RUNNING'::character varying, 'KILLED'::character varying])::text[]))),
    CONSTRAINT source_type CHECK (((source_type)::text = ANY ((ARRAY['NOTEBOOK'::character varying, 'JOB'::character varying, 'LOCAL'::character varying, 'UNKNOWN'::character varying, 'PROJECT'::character varying])::text[])))
);
CREATE TABLE public.scheduler_leases (
    lease_key character varying(255) NOT NULL,
    acquired_at bigint NOT NULL,
    ttl_seconds integer NOT NULL
);
CREATE TABLE public.scorer_versions (
    scorer_id character varying(36) NOT NULL,
    scorer_version integer NOT NULL,
    serialized_scorer text NOT NULL,
    creation_time bigint
);
CREATE TABLE public.scorers (
    experiment_id integer NOT NULL,
    scorer_name character varying(256) NOT NULL,
    scorer_id character varying(36) NOT NULL
);
CREATE TABLE public.secrets (
    secret_id character varying(36) NOT NULL,
    secret_name character varying(255) NOT NULL,
    encrypted_value bytea NOT NULL,
    wrapped_dek bytea NOT NULL,
    kek_version integer NOT NULL,
    masked_value character varying(500) NOT NULL,
    provider character varying(64),
    auth_config text,
    description text,
    created_by character varying(255),
    created_at bigint NOT NULL,
    last_updated_by character varying(255),
    last_updated_at bigint NOT NULL,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.span_metrics (
    trace_id character varying(50) NOT NULL,
    span_id character varying(50) NOT NULL,
    key character varying(250) NOT NULL,
    value double precision
);
CREATE TABLE public.spans (
    trace_id character varying(50) NOT NULL,
    experiment_id integer NOT NULL,
    span_id character varying(50) NOT NULL,
    parent_span_id character varying(50),
    name text,
    type character varying(500),
    status character varying(50) NOT NULL,
    start_time_unix_nano bigint NOT NULL,
    end_time_unix_nano bigint,
    duration_ns bigint GENERATED ALWAYS AS ((end_time_unix_nano - start_time_unix_nano)) STORED,
    content text NOT NULL,
    input_cost double precision,
    output_cost double precision,
    total_cost double precision,
    model_name character varying(500),
    model_provider character varying(500)
);
CREATE TABLE public.sql_assessment_daily_rollups (
    id bigint NOT NULL,
    experiment_id integer NOT NULL,
    rollup_day date NOT NULL,
    metric_name character varying(250) NOT NULL,
    grouping_set character varying(50) NOT NULL,
    sample_count bigint NOT NULL,
    sum_value double precision,
    min_value double precision,
    max_value double precision
);
ALTER TABLE public.sql_assessment_daily_rollups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.sql_assessment_daily_rollups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.sql_span_cost_daily_rollups (
    id bigint NOT NULL,
    experiment_id integer NOT NULL,
    rollup_day date NOT NULL,
    metric_name character varying(250) NOT NULL,
    grouping_set character varying(50) NOT NULL,
    model_name character varying(500),
    model_provider character varying(500),
    sample_count bigint NOT NULL,
    sum_value double precision,
    min_value double precision,
    max_value double precision
);
ALTER TABLE public.sql_span_cost_daily_rollups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.sql_span_cost_daily_rollups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.sql_trace_metric_daily_rollups (
    id bigint NOT NULL,
    experiment_id integer NOT NULL,
    rollup_day date NOT NULL,
    metric_name character varying(250) NOT NULL,
    grouping_set character varying(50) NOT NULL,
    trace_status character varying(50),
    sample_count bigint NOT NULL,
    sum_value double precision,
    min_value double precision,
    max_value double precision,
    p50_value double precision,
    p90_value double precision,
    p99_value double precision
);
ALTER TABLE public.sql_trace_metric_daily_rollups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.sql_trace_metric_daily_rollups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.sql_trace_rollup_rebuild_queue (
    experiment_id integer NOT NULL,
    rollup_day date NOT NULL,
    rollup_family character varying(50) NOT NULL
);
CREATE TABLE public.tags (
    key character varying(250) NOT NULL,
    value character varying(8000),
    run_uuid character varying(32) NOT NULL
);
CREATE TABLE public.trace_info (
    request_id character varying(50) NOT NULL,
    experiment_id integer NOT NULL,
    timestamp_ms bigint NOT NULL,
    execution_time_ms bigint,
    status character varying(50) NOT NULL,
    client_request_id character varying(50),
    request_preview character varying(1000),
    response_preview character varying(1000),
    db_payload_generation integer DEFAULT 0 NOT NULL,
    trace_name character varying(4096),
    session_id character varying(250),
    input_tokens bigint,
    output_tokens bigint,
    total_tokens bigint,
    cache_read_input_tokens bigint,
    cache_creation_input_tokens bigint,
    cache_creation_input_tokens_above_1hr bigint,
    input_cost double precision,
    output_cost double precision,
    total_cost double precision
);
CREATE TABLE public.trace_metrics (
    request_id character varying(50) NOT NULL,
    key character varying(250) NOT NULL,
    value double precision
);
CREATE TABLE public.trace_request_metadata (
    key character varying(250) NOT NULL,
    value character varying(8000),
    request_id character varying(50) NOT NULL
);
CREATE TABLE public.trace_tags (
    key character varying(250) NOT NULL,
    value character varying(8000),
    request_id character varying(50) NOT NULL
);
CREATE TABLE public.webhook_events (
    webhook_id character varying(256) NOT NULL,
    entity character varying(50) NOT NULL,
    action character varying(50) NOT NULL
);
CREATE TABLE public.webhooks (
    webhook_id character varying(256) NOT NULL,
    name character varying(256) NOT NULL,
    description character varying(1000),
    url character varying(500) NOT NULL,
    status character varying(20) DEFAULT 'ACTIVE'::character varying NOT NULL,
    secret character varying(1000),
    creation_timestamp bigint,
    last_updated_timestamp bigint,
    deleted_timestamp bigint,
    workspace character varying(63) DEFAULT 'default'::character varying NOT NULL
);
CREATE TABLE public.workspaces (
    name character varying(63) NOT NULL,
    description text,
    default_artifact_root text,
    trace_archival_location text,
    trace_archival_retention character varying(32)
);
ALTER TABLE ONLY public.experiments ALTER COLUMN experiment_id SET DEFAULT nextval('public.experiments_experiment_id_seq'::regclass);
COPY public.alembic_version (version_num) FROM stdin;
dc11669786a5
\.
COPY public.assessments (assessment_id, trace_id, name, assessment_type, value, error, created_timestamp, last_updated_timestamp, source_type, source_id, run_id, span_id, rationale, overrides, valid, assessment_metadata, experiment_id, trace_timestamp_ms, aggregate_value, is_numeric_value) FROM stdin;
\.
COPY public.budget_policies (budget_policy_id, budget_unit, budget_amount, duration_unit, duration_value, target_scope, budget_action, created_by, created_at, last_updated_by, last_updated_at, workspace, target_value) FROM stdin;
\.
COPY public.datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, dataset_schema, dataset_profile) FROM stdin;
\.
COPY public.endpoint_bindings (endpoint_id, resource_type, resource_id, created_at, created_by, last_updated_at, last_updated_by, display_name) FROM stdin;
\.
COPY public.endpoint_model_mappings (mapping_id, endpoint_id, model_definition_id, weight, created_by, created_at, linkage_type, fallback_order) FROM stdin;
\.
COPY public.endpoint_tags (key, value, endpoint_id) FROM stdin;
\.
COPY public.endpoints (endpoint_id, name, created_by, created_at, last_updated_by, last_updated_at, routing_strategy, fallback_config_json, experiment_id, usage_tracking, workspace) FROM stdin;
\.
COPY public.entity_associations (association_id, source_type, source_id, destination_type, destination_id, created_time) FROM stdin;
\.
COPY public.evaluation_dataset_records (dataset_record_id, dataset_id, inputs, expectations, tags, source, source_id, source_type, created_time, last_update_time, created_by, last_updated_by, input_hash, outputs) FROM stdin;
\.
COPY public.evaluation_dataset_tags (dataset_id, key, value) FROM stdin;
\.
COPY public.evaluation_datasets (dataset_id, name, schema, profile, digest, created_time, last_update_time, created_by, last_updated_by, workspace) FROM stdin;
\.
COPY public.experiment_tags (key, value, experiment_id) FROM stdin;
mlflow.experimentKind	custom_model_development	1
\.
COPY public.experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace) FROM stdin;
0	Default	@WORKSPACE@/mlruns/0	active	1795786294191	1795786294191	default
1	face	file://@WORKSPACE@/.mlflow/artifacts/face	active	1795786294292	1795786294292	default
\.
COPY public.guardrail_configs (endpoint_id, guardrail_id, execution_order, created_by, created_at, workspace) FROM stdin;
\.
COPY public.guardrails (guardrail_id, name, scorer_id, scorer_version, stage, action, action_endpoint_id, created_by, created_at, last_updated_by, last_updated_at, workspace) FROM stdin;
\.
COPY public.input_tags (input_uuid, name, value) FROM stdin;
\.
COPY public.inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) FROM stdin;
2f7e7fbcf8f0490d956f75ce2f78cfc0	RUN_OUTPUT	fe42689d93fd4f63acee0ea3f20064bf	MODEL_OUTPUT	m-24f2b18b5d1d4b59a97360133801dd44	0
f8413efa9ed343fc8204b9ceef5d90fb	RUN_INPUT	07b3ea6b0dae4c75a0ca5bc417705a68	MODEL_INPUT	m-24f2b18b5d1d4b59a97360133801dd44	0
1d467df2456048039a20994d9ab0217a	RUN_OUTPUT	07b3ea6b0dae4c75a0ca5bc417705a68	MODEL_OUTPUT	m-72c81b7397ec4d53bde1a46b3326ea38	0
b736e80cfd444dd3ba9573b4dd0ea868	RUN_INPUT	4b65eeb3a1dd4e1d95d17e457511e952	MODEL_INPUT	m-24f2b18b5d1d4b59a97360133801dd44	0
46f766c698184c0db766da5874f2a709	RUN_OUTPUT	4b65eeb3a1dd4e1d95d17e457511e952	MODEL_OUTPUT	m-92bbec8faf2b489cb6dfb9417b437129	0
\.
COPY public.issues (issue_id, experiment_id, name, description, status, severity, root_causes, source_run_id, categories, created_timestamp, last_updated_timestamp, created_by) FROM stdin;
\.
COPY public.job_locks (lock_key, job_id, acquired_at) FROM stdin;
\.
COPY public.jobs (id, creation_time, job_name, params, timeout, status, result, retry_count, last_update_time, workspace, status_details, creator, executor_backend, lease_expires_at, status_message, progress, progress_updated_at, token_hash, scoped_permissions, next_attempt_at) FROM stdin;
\.
COPY public.label_schemas (schema_id, experiment_id, name, type, instruction, enable_comment, input_type, input_config, created_by, created_time, last_update_time, is_default) FROM stdin;
\.
COPY public.latest_metrics (key, value, "timestamp", step, is_nan, run_uuid) FROM stdin;
latency_p50_ms	3	1795786297017	0	f	fe42689d93fd4f63acee0ea3f20064bf
latency_p90_ms	3.75	1795786297017	0	f	fe42689d93fd4f63acee0ea3f20064bf
fps	333.3333333333333	1795786297017	0	f	fe42689d93fd4f63acee0ea3f20064bf
size_bytes	52	1795786297017	0	f	fe42689d93fd4f63acee0ea3f20064bf
size_bytes	13	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
size_reduction	0.75	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
size_reduction_vs_source	0.5	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
float_tensors	1	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
cosine_mean/regressors	0.99	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
cosine_min/regressors	0.95	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
max_abs_error/regressors	3.5	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
mean_abs_error/regressors	0.25	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
sqnr_db/regressors	21.5	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
cosine_mean/classificators	0.98	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
cosine_min/classificators	0.95	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
max_abs_error/classificators	3.5	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
mean_abs_error/classificators	0.25	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/box_error_px_max	0.75	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/box_error_px_mean	0.25	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/negatives	20	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/positives	100	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/precision	1	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/recall	1	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/score_error_max	0.02	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
task/score_error_mean	0.005	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
latency_p50_ms	2	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
latency_p90_ms	2.5	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
fps	500	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
speedup	1.5	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
speedup_low	1.45	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
speedup_high	1.55	1795786299198	0	f	07b3ea6b0dae4c75a0ca5bc417705a68
size_bytes	9	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
size_reduction	0.75	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
size_reduction_vs_source	0.5	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
float_tensors	1	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
cosine_mean/regressors	0.99	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
cosine_min/regressors	0.95	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
max_abs_error/regressors	3.5	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
mean_abs_error/regressors	0.25	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
sqnr_db/regressors	21.5	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
cosine_mean/classificators	0.98	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
cosine_min/classificators	0.95	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
max_abs_error/classificators	3.5	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
mean_abs_error/classificators	0.25	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/box_error_px_max	0.75	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/box_error_px_mean	0.25	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/negatives	20	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/positives	100	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/precision	1	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/recall	1	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/score_error_max	0.02	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
task/score_error_mean	0.005	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
latency_p50_ms	1.5	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
latency_p90_ms	1.875	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
fps	666.6666666666666	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
speedup	2	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
speedup_low	1.9333333333333333	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
speedup_high	2.066666666666667	1795786303139	0	f	4b65eeb3a1dd4e1d95d17e457511e952
\.
COPY public.logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, experiment_id, run_id, dataset_uuid, dataset_name, dataset_digest) FROM stdin;
m-24f2b18b5d1d4b59a97360133801dd44	latency_p50_ms	1795786297017	0	3	1	fe42689d93fd4f63acee0ea3f20064bf	\N	\N	\N
m-24f2b18b5d1d4b59a97360133801dd44	latency_p90_ms	1795786297017	0	3.75	1	fe42689d93fd4f63acee0ea3f20064bf	\N	\N	\N
m-24f2b18b5d1d4b59a97360133801dd44	fps	1795786297017	0	333.3333333333333	1	fe42689d93fd4f63acee0ea3f20064bf	\N	\N	\N
m-24f2b18b5d1d4b59a97360133801dd44	size_bytes	1795786297017	0	52	1	fe42689d93fd4f63acee0ea3f20064bf	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	size_bytes	1795786299198	0	13	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	size_reduction	1795786299198	0	0.75	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	size_reduction_vs_source	1795786299198	0	0.5	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	float_tensors	1795786299198	0	1	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	cosine_mean/regressors	1795786299198	0	0.99	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	cosine_min/regressors	1795786299198	0	0.95	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	max_abs_error/regressors	1795786299198	0	3.5	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	mean_abs_error/regressors	1795786299198	0	0.25	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	sqnr_db/regressors	1795786299198	0	21.5	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	cosine_mean/classificators	1795786299198	0	0.98	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	cosine_min/classificators	1795786299198	0	0.95	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	max_abs_error/classificators	1795786299198	0	3.5	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	mean_abs_error/classificators	1795786299198	0	0.25	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/box_error_px_max	1795786299198	0	0.75	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/box_error_px_mean	1795786299198	0	0.25	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/negatives	1795786299198	0	20	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/positives	1795786299198	0	100	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/precision	1795786299198	0	1	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/recall	1795786299198	0	1	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/score_error_max	1795786299198	0	0.02	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	task/score_error_mean	1795786299198	0	0.005	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	latency_p50_ms	1795786299198	0	2	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	latency_p90_ms	1795786299198	0	2.5	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	fps	1795786299198	0	500	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	speedup	1795786299198	0	1.5	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	speedup_low	1795786299198	0	1.45	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-72c81b7397ec4d53bde1a46b3326ea38	speedup_high	1795786299198	0	1.55	1	07b3ea6b0dae4c75a0ca5bc417705a68	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	size_bytes	1795786303139	0	9	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	size_reduction	1795786303139	0	0.75	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	size_reduction_vs_source	1795786303139	0	0.5	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	float_tensors	1795786303139	0	1	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	cosine_mean/regressors	1795786303139	0	0.99	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	cosine_min/regressors	1795786303139	0	0.95	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	max_abs_error/regressors	1795786303139	0	3.5	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	mean_abs_error/regressors	1795786303139	0	0.25	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	sqnr_db/regressors	1795786303139	0	21.5	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	cosine_mean/classificators	1795786303139	0	0.98	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	cosine_min/classificators	1795786303139	0	0.95	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	max_abs_error/classificators	1795786303139	0	3.5	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	mean_abs_error/classificators	1795786303139	0	0.25	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/box_error_px_max	1795786303139	0	0.75	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/box_error_px_mean	1795786303139	0	0.25	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/negatives	1795786303139	0	20	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/positives	1795786303139	0	100	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/precision	1795786303139	0	1	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/recall	1795786303139	0	1	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/score_error_max	1795786303139	0	0.02	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	task/score_error_mean	1795786303139	0	0.005	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	latency_p50_ms	1795786303139	0	1.5	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	latency_p90_ms	1795786303139	0	1.875	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	fps	1795786303139	0	666.6666666666666	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	speedup	1795786303139	0	2	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	speedup_low	1795786303139	0	1.9333333333333333	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
m-92bbec8faf2b489cb6dfb9417b437129	speedup_high	1795786303139	0	2.066666666666667	1	4b65eeb3a1dd4e1d95d17e457511e952	\N	\N	\N
\.
COPY public.logged_model_params (model_id, experiment_id, param_key, param_value) FROM stdin;
m-24f2b18b5d1d4b59a97360133801dd44	1	scheme	float
m-24f2b18b5d1d4b59a97360133801dd44	1	sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06
m-72c81b7397ec4d53bde1a46b3326ea38	1	scheme	int8
m-72c81b7397ec4d53bde1a46b3326ea38	1	sha256	7ed03b710748a1590edac5f7f261c6f9fdbcd9558659f2cd1f60833ee44627d6
m-92bbec8faf2b489cb6dfb9417b437129	1	scheme	int8
m-92bbec8faf2b489cb6dfb9417b437129	1	sha256	d2dbbd82438ce5c56fac6f92ed320839e17d0d5c2724cdcac06cadebb51eb435
\.
COPY public.logged_model_tags (model_id, experiment_id, tag_key, tag_value) FROM stdin;
m-24f2b18b5d1d4b59a97360133801dd44	1	artifact_sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06
m-24f2b18b5d1d4b59a97360133801dd44	1	target	//models:face_int8
m-24f2b18b5d1d4b59a97360133801dd44	1	scheme	float
m-24f2b18b5d1d4b59a97360133801dd44	1	mlflow.modelVersions	[{"name": "face.float", "version": "1"}]
m-72c81b7397ec4d53bde1a46b3326ea38	1	artifact_sha256	7ed03b710748a1590edac5f7f261c6f9fdbcd9558659f2cd1f60833ee44627d6
m-72c81b7397ec4d53bde1a46b3326ea38	1	target	//models:face_int8
m-72c81b7397ec4d53bde1a46b3326ea38	1	scheme	int8
m-72c81b7397ec4d53bde1a46b3326ea38	1	mlflow.modelVersions	[{"name": "face", "version": "1"}]
m-92bbec8faf2b489cb6dfb9417b437129	1	artifact_sha256	d2dbbd82438ce5c56fac6f92ed320839e17d0d5c2724cdcac06cadebb51eb435
m-92bbec8faf2b489cb6dfb9417b437129	1	target	//models:face_int8
m-92bbec8faf2b489cb6dfb9417b437129	1	scheme	int8
m-92bbec8faf2b489cb6dfb9417b437129	1	mlflow.modelVersions	[{"name": "face", "version": "2"}]
\.
COPY public.logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id, status_message) FROM stdin;
m-24f2b18b5d1d4b59a97360133801dd44	1	face_float fd5b0e2f	file://@WORKSPACE@/.mlflow/artifacts/face/models/m-24f2b18b5d1d4b59a97360133801dd44/artifacts	1795786295396	1795786296650	2	active	tflite	fe42689d93fd4f63acee0ea3f20064bf	\N
m-72c81b7397ec4d53bde1a46b3326ea38	1	face_int8	file://@WORKSPACE@/.mlflow/artifacts/face/models/m-72c81b7397ec4d53bde1a46b3326ea38/artifacts	1795786298437	1795786299020	2	active	tflite	07b3ea6b0dae4c75a0ca5bc417705a68	\N
m-92bbec8faf2b489cb6dfb9417b437129	1	face_int8	file://@WORKSPACE@/.mlflow/artifacts/face/models/m-92bbec8faf2b489cb6dfb9417b437129/artifacts	1795786302506	1795786302906	2	active	tflite	4b65eeb3a1dd4e1d95d17e457511e952	\N
\.
COPY public.mcp_access_endpoints (id, workspace, server_name, server_version, server_alias, url, transport_type, created_by, last_updated_by, created_at, last_updated_at) FROM stdin;
\.
COPY public.mcp_server_aliases (workspace, name, alias, version) FROM stdin;
\.
COPY public.mcp_server_tags (workspace, name, key, value) FROM stdin;
\.
COPY public.mcp_server_version_tags (workspace, name, version, key, value) FROM stdin;
\.
COPY public.mcp_server_versions (workspace, name, version, version_major, version_minor, version_patch, version_prerelease_sort_key, server_json, status, tools, source, connect_options, created_by, last_updated_by, created_at, last_updated_at) FROM stdin;
\.
COPY public.mcp_servers (workspace, name, display_name, description, icons, created_by, last_updated_by, created_at, last_updated_at) FROM stdin;
\.
COPY public.metrics (key, value, "timestamp", run_uuid, step, is_nan) FROM stdin;
latency_p50_ms	3	1795786297017	fe42689d93fd4f63acee0ea3f20064bf	0	f
latency_p90_ms	3.75	1795786297017	fe42689d93fd4f63acee0ea3f20064bf	0	f
fps	333.3333333333333	1795786297017	fe42689d93fd4f63acee0ea3f20064bf	0	f
size_bytes	52	1795786297017	fe42689d93fd4f63acee0ea3f20064bf	0	f
size_bytes	13	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
size_reduction	0.75	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
size_reduction_vs_source	0.5	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
float_tensors	1	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
cosine_mean/regressors	0.99	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
cosine_min/regressors	0.95	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
max_abs_error/regressors	3.5	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
mean_abs_error/regressors	0.25	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
sqnr_db/regressors	21.5	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
cosine_mean/classificators	0.98	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
cosine_min/classificators	0.95	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
max_abs_error/classificators	3.5	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
mean_abs_error/classificators	0.25	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/box_error_px_max	0.75	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/box_error_px_mean	0.25	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/negatives	20	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/positives	100	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/precision	1	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/recall	1	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/score_error_max	0.02	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
task/score_error_mean	0.005	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
latency_p50_ms	2	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
latency_p90_ms	2.5	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
fps	500	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
speedup	1.5	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
speedup_low	1.45	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
speedup_high	1.55	1795786299198	07b3ea6b0dae4c75a0ca5bc417705a68	0	f
size_bytes	9	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
size_reduction	0.75	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
size_reduction_vs_source	0.5	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
float_tensors	1	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
cosine_mean/regressors	0.99	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
cosine_min/regressors	0.95	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
max_abs_error/regressors	3.5	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
mean_abs_error/regressors	0.25	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
sqnr_db/regressors	21.5	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
cosine_mean/classificators	0.98	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
cosine_min/classificators	0.95	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
max_abs_error/classificators	3.5	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
mean_abs_error/classificators	0.25	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/box_error_px_max	0.75	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/box_error_px_mean	0.25	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/negatives	20	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/positives	100	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/precision	1	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/recall	1	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/score_error_max	0.02	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
task/score_error_mean	0.005	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
latency_p50_ms	1.5	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
latency_p90_ms	1.875	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
fps	666.6666666666666	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
speedup	2	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
speedup_low	1.9333333333333333	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
speedup_high	2.066666666666667	1795786303139	4b65eeb3a1dd4e1d95d17e457511e952	0	f
\.
COPY public.model_definitions (model_definition_id, name, secret_id, provider, model_name, created_by, created_at, last_updated_by, last_updated_at, workspace) FROM stdin;
\.
COPY public.model_version_tags (key, value, name, version, workspace) FROM stdin;
scheme	float	face.float	1	default
artifact_sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06	face.float	1	default
source_sha256	c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc	face.float	1	default
scheme	int8	face	1	default
version	1.0.0	face	1	default
gates	passed	face	1	default
target	//models:face_int8	face	1	default
parent_version	face.float/1	face	1	default
artifact_sha256	7ed03b710748a1590edac5f7f261c6f9fdbcd9558659f2cd1f60833ee44627d6	face	1	default
float_master_sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06	face	1	default
source_sha256	c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc	face	1	default
recipe_sha256	ec62e59dfa98e6f8dffb2700dc1f3534c0eb26a6aa63ad578232dae7d72f3736	face	1	default
scheme	int8	face	2	default
version	1.0.0	face	2	default
gates	passed	face	2	default
target	//models:face_int8	face	2	default
parent_version	face.float/1	face	2	default
artifact_sha256	d2dbbd82438ce5c56fac6f92ed320839e17d0d5c2724cdcac06cadebb51eb435	face	2	default
float_master_sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06	face	2	default
source_sha256	c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc	face	2	default
recipe_sha256	ec62e59dfa98e6f8dffb2700dc1f3534c0eb26a6aa63ad578232dae7d72f3736	face	2	default
\.
COPY public.model_versions (name, version, creation_time, last_updated_time, description, user_id, current_stage, source, run_id, status, status_message, run_link, storage_location, workspace) FROM stdin;
face.float	1	1795786297362	1795786297362	Float master, 52 bytes, made from the file with sha256 `c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc`. Recorded by [this run](#/experiments/1/runs/fe42689d93fd4f63acee0ea3f20064bf).	\N	None	models:/m-24f2b18b5d1d4b59a97360133801dd44	fe42689d93fd4f63acee0ea3f20064bf	READY	\N	\N	file://@WORKSPACE@/.mlflow/artifacts/face/models/m-24f2b18b5d1d4b59a97360133801dd44/artifacts	default
face	1	1795786299531	1795786299531	face_int8 1.0.0 (int8), made from [face.float version 1](#/models/face.float/versions/1): 13 bytes, 75.0% smaller; lowest mean cosine 0.9800 (`classificators`); 1.50x as fast on host (2 ms). Gates: passed. Recorded by [this run](#/experiments/1/runs/07b3ea6b0dae4c75a0ca5bc417705a68).	\N	None	models:/m-72c81b7397ec4d53bde1a46b3326ea38	07b3ea6b0dae4c75a0ca5bc417705a68	READY	\N	\N	file://@WORKSPACE@/.mlflow/artifacts/face/models/m-72c81b7397ec4d53bde1a46b3326ea38/artifacts	default
face	2	1795786303821	1795786303821	face_int8 1.0.0 (int8), made from [face.float version 1](#/models/face.float/versions/1): 9 bytes, 75.0% smaller; lowest mean cosine 0.9800 (`classificators`); 2.00x as fast on host (1.5 ms). Gates: passed. Recorded by [this run](#/experiments/1/runs/4b65eeb3a1dd4e1d95d17e457511e952).	\N	None	models:/m-92bbec8faf2b489cb6dfb9417b437129	4b65eeb3a1dd4e1d95d17e457511e952	READY	\N	\N	file://@WORKSPACE@/.mlflow/artifacts/face/models/m-92bbec8faf2b489cb6dfb9417b437129/artifacts	default
\.
COPY public.online_scoring_configs (online_scoring_config_id, scorer_id, sample_rate, experiment_id, filter_string) FROM stdin;
\.
COPY public.params (key, value, run_uuid) FROM stdin;
scheme	float	fe42689d93fd4f63acee0ea3f20064bf
scheme	int8	07b3ea6b0dae4c75a0ca5bc417705a68
version	1.0.0	07b3ea6b0dae4c75a0ca5bc417705a68
recipe_sha256	ec62e59dfa98e6f8dffb2700dc1f3534c0eb26a6aa63ad578232dae7d72f3736	07b3ea6b0dae4c75a0ca5bc417705a68
scheme	int8	4b65eeb3a1dd4e1d95d17e457511e952
version	1.0.0	4b65eeb3a1dd4e1d95d17e457511e952
recipe_sha256	ec62e59dfa98e6f8dffb2700dc1f3534c0eb26a6aa63ad578232dae7d72f3736	4b65eeb3a1dd4e1d95d17e457511e952
\.
COPY public.registered_model_aliases (alias, version, name, workspace) FROM stdin;
production	2	face	default
\.
COPY public.registered_model_tags (key, value, name, workspace) FROM stdin;
\.
COPY public.registered_models (name, creation_time, last_updated_time, description, workspace) FROM stdin;
face.float	1795786297263	1795786297362	Float masters of [face](#/models/face): fp32 models, which quantized versions are made from and measured against.	default
face	1795786299455	1795786303821	Quantized models of one deployable. Each version is one artifact; its float master is a version of [face.float](#/models/face.float).	default
\.
COPY public.review_queue_items (queue_id, item_type, item_id, status, completed_by, completed_time_ms, creation_time_ms, last_update_time_ms) FROM stdin;
\.
COPY public.review_queue_label_schemas (queue_id, schema_id) FROM stdin;
\.
COPY public.review_queue_users (queue_id, user_id) FROM stdin;
\.
COPY public.review_queues (queue_id, experiment_id, name, queue_type, created_by, creation_time_ms, last_update_time_ms, name_key) FROM stdin;
\.
COPY public.runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time) FROM stdin;
fe42689d93fd4f63acee0ea3f20064bf	face.float fd5b0e2f	UNKNOWN			root	FINISHED	1795786295022	1795786297217		active	file://@WORKSPACE@/.mlflow/artifacts/face/fe42689d93fd4f63acee0ea3f20064bf/artifacts	1	\N
07b3ea6b0dae4c75a0ca5bc417705a68	face_int8 1.0.0	UNKNOWN			root	FINISHED	1795786297882	1795786299419		active	file://@WORKSPACE@/.mlflow/artifacts/face/07b3ea6b0dae4c75a0ca5bc417705a68/artifacts	1	\N
e10b1381053043d786eeae7dcdc57ad4	face: all versions	UNKNOWN			root	FINISHED	1795786300686	1795786301343		active	file://@WORKSPACE@/.mlflow/artifacts/face/e10b1381053043d786eeae7dcdc57ad4/artifacts	1	\N
4b65eeb3a1dd4e1d95d17e457511e952	face_int8 1.0.0	UNKNOWN			root	FINISHED	1795786302268	1795786303449		active	file://@WORKSPACE@/.mlflow/artifacts/face/4b65eeb3a1dd4e1d95d17e457511e952/artifacts	1	\N
b970f351e170492288e1947f36fb09ee	production: promotion of version 1	UNKNOWN			root	FINISHED	1795786308858	1795786309379		active	file://@WORKSPACE@/.mlflow/artifacts/face/b970f351e170492288e1947f36fb09ee/artifacts	1	\N
03dd03c0b6354693bbf5dea76f9a91f0	production: promotion of version 2	UNKNOWN			root	FINISHED	1795786310818	1795786311428		active	file://@WORKSPACE@/.mlflow/artifacts/face/03dd03c0b6354693bbf5dea76f9a91f0/artifacts	1	\N
\.
COPY public.scheduler_leases (lease_key, acquired_at, ttl_seconds) FROM stdin;
\.
COPY public.scorer_versions (scorer_id, scorer_version, serialized_scorer, creation_time) FROM stdin;
\.
COPY public.scorers (experiment_id, scorer_name, scorer_id) FROM stdin;
\.
COPY public.secrets (secret_id, secret_name, encrypted_value, wrapped_dek, kek_version, masked_value, provider, auth_config, description, created_by, created_at, last_updated_by, last_updated_at, workspace) FROM stdin;
\.
COPY public.span_metrics (trace_id, span_id, key, value) FROM stdin;
\.
COPY public.spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status, start_time_unix_nano, end_time_unix_nano, content, input_cost, output_cost, total_cost, model_name, model_provider) FROM stdin;
\.
COPY public.sql_assessment_daily_rollups (id, experiment_id, rollup_day, metric_name, grouping_set, sample_count, sum_value, min_value, max_value) FROM stdin;
\.
COPY public.sql_span_cost_daily_rollups (id, experiment_id, rollup_day, metric_name, grouping_set, model_name, model_provider, sample_count, sum_value, min_value, max_value) FROM stdin;
\.
COPY public.sql_trace_metric_daily_rollups (id, experiment_id, rollup_day, metric_name, grouping_set, trace_status, sample_count, sum_value, min_value, max_value, p50_value, p90_value, p99_value) FROM stdin;
\.
COPY public.sql_trace_rollup_rebuild_queue (experiment_id, rollup_day, rollup_family) FROM stdin;
\.
COPY public.tags (key, value, run_uuid) FROM stdin;
mlflow.source.name	//models:face_int8	fe42689d93fd4f63acee0ea3f20064bf
mlflow.source.type	LOCAL	fe42689d93fd4f63acee0ea3f20064bf
mlflow.user	root	fe42689d93fd4f63acee0ea3f20064bf
writer	21330232527a4518/23535.171478	fe42689d93fd4f63acee0ea3f20064bf
git_state	no repository	fe42689d93fd4f63acee0ea3f20064bf
scheme	float	fe42689d93fd4f63acee0ea3f20064bf
artifact_sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06	fe42689d93fd4f63acee0ea3f20064bf
source_sha256	c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc	fe42689d93fd4f63acee0ea3f20064bf
record_digest	face.float fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06	fe42689d93fd4f63acee0ea3f20064bf
kind	float master	fe42689d93fd4f63acee0ea3f20064bf
mlflow.note.content	Float master, 52 bytes, made from the file with sha256 `c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc`.	fe42689d93fd4f63acee0ea3f20064bf
target	//models:face_int8	fe42689d93fd4f63acee0ea3f20064bf
mlflow.runName	face.float fd5b0e2f	fe42689d93fd4f63acee0ea3f20064bf
mlflow.source.name	//models:face_int8	07b3ea6b0dae4c75a0ca5bc417705a68
mlflow.source.type	LOCAL	07b3ea6b0dae4c75a0ca5bc417705a68
mlflow.user	root	07b3ea6b0dae4c75a0ca5bc417705a68
writer	21330232527a4518/23535.171478	07b3ea6b0dae4c75a0ca5bc417705a68
git_state	no repository	07b3ea6b0dae4c75a0ca5bc417705a68
target	//models:face_int8	07b3ea6b0dae4c75a0ca5bc417705a68
artifact_sha256	7ed03b710748a1590edac5f7f261c6f9fdbcd9558659f2cd1f60833ee44627d6	07b3ea6b0dae4c75a0ca5bc417705a68
float_master_sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06	07b3ea6b0dae4c75a0ca5bc417705a68
gates	passed	07b3ea6b0dae4c75a0ca5bc417705a68
scheme	int8	07b3ea6b0dae4c75a0ca5bc417705a68
version	1.0.0	07b3ea6b0dae4c75a0ca5bc417705a68
source_sha256	c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc	07b3ea6b0dae4c75a0ca5bc417705a68
recipe_sha256	ec62e59dfa98e6f8dffb2700dc1f3534c0eb26a6aa63ad578232dae7d72f3736	07b3ea6b0dae4c75a0ca5bc417705a68
bazel_version	7.7.1	07b3ea6b0dae4c75a0ca5bc417705a68
calibration_data_sha256	cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc	07b3ea6b0dae4c75a0ca5bc417705a68
test_data_sha256	dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd	07b3ea6b0dae4c75a0ca5bc417705a68
tool.litert-quantizer	0.11.0	07b3ea6b0dae4c75a0ca5bc417705a68
device	host	07b3ea6b0dae4c75a0ca5bc417705a68
device_backend	host	07b3ea6b0dae4c75a0ca5bc417705a68
device_cpu	a processor	07b3ea6b0dae4c75a0ca5bc417705a68
device_cores	2	07b3ea6b0dae4c75a0ca5bc417705a68
device_threads	1	07b3ea6b0dae4c75a0ca5bc417705a68
device_runtime	ai-edge-litert 2.3.0, XNNPACK	07b3ea6b0dae4c75a0ca5bc417705a68
record_digest	9f78c96bd6cec7876c0a819a9cbc814bb2ed17fb10b416e0b1c0214ee9ffbcea	07b3ea6b0dae4c75a0ca5bc417705a68
kind	registration	07b3ea6b0dae4c75a0ca5bc417705a68
parent_version	face.float/1	07b3ea6b0dae4c75a0ca5bc417705a68
mlflow.note.content	face_int8 1.0.0 (int8), made from [face.float version 1](#/models/face.float/versions/1): 13 bytes, 75.0% smaller; lowest mean cosine 0.9800 (`classificators`); 1.50x as fast on host (2 ms). Gates: passed.	07b3ea6b0dae4c75a0ca5bc417705a68
mlflow.runName	face_int8 1.0.0	07b3ea6b0dae4c75a0ca5bc417705a68
kind	dashboard	e10b1381053043d786eeae7dcdc57ad4
mlflow.user	root	e10b1381053043d786eeae7dcdc57ad4
mlflow.note.content	`dashboard.html` among the artifacts is kept current.	e10b1381053043d786eeae7dcdc57ad4
mlflow.runName	face: all versions	e10b1381053043d786eeae7dcdc57ad4
mlflow.source.name	//models:face_int8	4b65eeb3a1dd4e1d95d17e457511e952
mlflow.source.type	LOCAL	4b65eeb3a1dd4e1d95d17e457511e952
mlflow.user	root	4b65eeb3a1dd4e1d95d17e457511e952
writer	21330232527a4518/23535.171478	4b65eeb3a1dd4e1d95d17e457511e952
git_state	no repository	4b65eeb3a1dd4e1d95d17e457511e952
target	//models:face_int8	4b65eeb3a1dd4e1d95d17e457511e952
artifact_sha256	d2dbbd82438ce5c56fac6f92ed320839e17d0d5c2724cdcac06cadebb51eb435	4b65eeb3a1dd4e1d95d17e457511e952
float_master_sha256	fd5b0e2fae33a4f235a2dda8afac77dd40cd3cbf0cef1ba8a1c5337353936a06	4b65eeb3a1dd4e1d95d17e457511e952
gates	passed	4b65eeb3a1dd4e1d95d17e457511e952
scheme	int8	4b65eeb3a1dd4e1d95d17e457511e952
version	1.0.0	4b65eeb3a1dd4e1d95d17e457511e952
source_sha256	c05c535f8eef476ef3d6ea0606b2402e0d20a5863b777f684d9f5bb8b19aa7cc	4b65eeb3a1dd4e1d95d17e457511e952
recipe_sha256	ec62e59dfa98e6f8dffb2700dc1f3534c0eb26a6aa63ad578232dae7d72f3736	4b65eeb3a1dd4e1d95d17e457511e952
bazel_version	7.7.1	4b65eeb3a1dd4e1d95d17e457511e952
calibration_data_sha256	cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc	4b65eeb3a1dd4e1d95d17e457511e952
test_data_sha256	dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd	4b65eeb3a1dd4e1d95d17e457511e952
tool.litert-quantizer	0.11.0	4b65eeb3a1dd4e1d95d17e457511e952
device	host	4b65eeb3a1dd4e1d95d17e457511e952
device_backend	host	4b65eeb3a1dd4e1d95d17e457511e952
device_cpu	a processor	4b65eeb3a1dd4e1d95d17e457511e952
device_cores	2	4b65eeb3a1dd4e1d95d17e457511e952
device_threads	1	4b65eeb3a1dd4e1d95d17e457511e952
device_runtime	ai-edge-litert 2.3.0, XNNPACK	4b65eeb3a1dd4e1d95d17e457511e952
record_digest	25d27c4329a1a77d3d7d54ca1a5e11c65bd27d60f5df4a49151935ff135a6f82	4b65eeb3a1dd4e1d95d17e457511e952
kind	registration	4b65eeb3a1dd4e1d95d17e457511e952
parent_version	face.float/1	4b65eeb3a1dd4e1d95d17e457511e952
mlflow.note.content	face_int8 1.0.0 (int8), made from [face.float version 1](#/models/face.float/versions/1): 9 bytes, 75.0% smaller; lowest mean cosine 0.9800 (`classificators`); 2.00x as fast on host (1.5 ms). Gates: passed.	4b65eeb3a1dd4e1d95d17e457511e952
mlflow.runName	face_int8 1.0.0	4b65eeb3a1dd4e1d95d17e457511e952
git_state	no repository	03dd03c0b6354693bbf5dea76f9a91f0
kind	promotion	03dd03c0b6354693bbf5dea76f9a91f0
git_state	no repository	b970f351e170492288e1947f36fb09ee
kind	promotion	b970f351e170492288e1947f36fb09ee
alias	production	b970f351e170492288e1947f36fb09ee
alias_to	1	b970f351e170492288e1947f36fb09ee
model_version	face/1	b970f351e170492288e1947f36fb09ee
forced	false	b970f351e170492288e1947f36fb09ee
mlflow.user	root	b970f351e170492288e1947f36fb09ee
mlflow.note.content	production: from nothing to version 1 of face.	b970f351e170492288e1947f36fb09ee
writer	21330232527a4518/23535.171478	b970f351e170492288e1947f36fb09ee
mlflow.runName	production: promotion of version 1	b970f351e170492288e1947f36fb09ee
page_sha256	cbacbbc4d7adf9ee915728ded2648cd644051218521cec6b5fda13b8efbad471	e10b1381053043d786eeae7dcdc57ad4
alias	production	03dd03c0b6354693bbf5dea76f9a91f0
alias_to	2	03dd03c0b6354693bbf5dea76f9a91f0
model_version	face/2	03dd03c0b6354693bbf5dea76f9a91f0
forced	false	03dd03c0b6354693bbf5dea76f9a91f0
mlflow.user	root	03dd03c0b6354693bbf5dea76f9a91f0
mlflow.note.content	production: from version 1 to version 2 of face.	03dd03c0b6354693bbf5dea76f9a91f0
writer	21330232527a4518/23535.171478	03dd03c0b6354693bbf5dea76f9a91f0
alias_from	1	03dd03c0b6354693bbf5dea76f9a91f0
mlflow.runName	production: promotion of version 2	03dd03c0b6354693bbf5dea76f9a91f0
\.
COPY public.trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status, client_request_id, request_preview, response_preview, db_payload_generation, trace_name, session_id, input_tokens, output_tokens, total_tokens, cache_read_input_tokens, cache_creation_input_tokens, cache_creation_input_tokens_above_1hr, input_cost, output_cost, total_cost) FROM stdin;
\.
COPY public.trace_metrics (request_id, key, value) FROM stdin;
\.
COPY public.trace_request_metadata (key, value, request_id) FROM stdin;
\.
COPY public.trace_tags (key, value, request_id) FROM stdin;
\.
COPY public.webhook_events (webhook_id, entity, action) FROM stdin;
\.
COPY public.webhooks (webhook_id, name, description, url, status, secret, creation_timestamp, last_updated_timestamp, deleted_timestamp, workspace) FROM stdin;
\.
COPY public.workspaces (name, description, default_artifact_root, trace_archival_location, trace_archival_retention) FROM stdin;
default	Default workspace for legacy resources	\N	\N	\N
\.
SELECT pg_catalog.setval('public.experiments_experiment_id_seq', 1, true);
SELECT pg_catalog.setval('public.sql_assessment_daily_rollups_id_seq', 1, false);
SELECT pg_catalog.setval('public.sql_span_cost_daily_rollups_id_seq', 1, false);
SELECT pg_catalog.setval('public.sql_trace_metric_daily_rollups_id_seq', 1, false);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.assessments
    ADD CONSTRAINT assessments_pk PRIMARY KEY (assessment_id);
ALTER TABLE ONLY public.budget_policies
    ADD CONSTRAINT budget_policies_pk PRIMARY KEY (budget_policy_id);
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest);
ALTER TABLE ONLY public.endpoint_bindings
    ADD CONSTRAINT endpoint_bindings_pk PRIMARY KEY (endpoint_id, resource_type, resource_id);
ALTER TABLE ONLY public.endpoint_model_mappings
    ADD CONSTRAINT endpoint_model_mappings_pk PRIMARY KEY (mapping_id);
ALTER TABLE ONLY public.endpoint_tags
    ADD CONSTRAINT endpoint_tag_pk PRIMARY KEY (key, endpoint_id);
ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT endpoints_pk PRIMARY KEY (endpoint_id);
ALTER TABLE ONLY public.entity_associations
    ADD CONSTRAINT entity_associations_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id);
ALTER TABLE ONLY public.evaluation_dataset_records
    ADD CONSTRAINT evaluation_dataset_records_pk PRIMARY KEY (dataset_record_id);
ALTER TABLE ONLY public.evaluation_dataset_tags
    ADD CONSTRAINT evaluation_dataset_tags_pk PRIMARY KEY (dataset_id, key);
ALTER TABLE ONLY public.evaluation_datasets
    ADD CONSTRAINT evaluation_datasets_pk PRIMARY KEY (dataset_id);
ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiment_pk PRIMARY KEY (experiment_id);
ALTER TABLE ONLY public.experiment_tags
    ADD CONSTRAINT experiment_tag_pk PRIMARY KEY (key, experiment_id);
ALTER TABLE ONLY public.guardrail_configs
    ADD CONSTRAINT guardrail_configs_pk PRIMARY KEY (endpoint_id, guardrail_id);
ALTER TABLE ONLY public.guardrails
    ADD CONSTRAINT guardrails_pk PRIMARY KEY (guardrail_id);
ALTER TABLE ONLY public.input_tags
    ADD CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name);
ALTER TABLE ONLY public.inputs
    ADD CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id);
ALTER TABLE ONLY public.issues
    ADD CONSTRAINT issues_pk PRIMARY KEY (issue_id);
ALTER TABLE ONLY public.job_locks
    ADD CONSTRAINT job_locks_pk PRIMARY KEY (lock_key);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pk PRIMARY KEY (id);
ALTER TABLE ONLY public.label_schemas
    ADD CONSTRAINT label_schemas_pk PRIMARY KEY (schema_id);
ALTER TABLE ONLY public.latest_metrics
    ADD CONSTRAINT latest_metric_pk PRIMARY KEY (key, run_uuid);
ALTER TABLE ONLY public.logged_model_metrics
    ADD CONSTRAINT logged_model_metrics_pk PRIMARY KEY (model_id, metric_name, metric_timestamp_ms, metric_step, run_id);
ALTER TABLE ONLY public.logged_model_params
    ADD CONSTRAINT logged_model_params_pk PRIMARY KEY (model_id, param_key);
ALTER TABLE ONLY public.logged_model_tags
    ADD CONSTRAINT logged_model_tags_pk PRIMARY KEY (model_id, tag_key);
ALTER TABLE ONLY public.logged_models
    ADD CONSTRAINT logged_models_pk PRIMARY KEY (model_id);
ALTER TABLE ONLY public.mcp_access_endpoints
    ADD CONSTRAINT mcp_access_endpoints_pk PRIMARY KEY (id);
ALTER TABLE ONLY public.mcp_server_aliases
    ADD CONSTRAINT mcp_server_aliases_pk PRIMARY KEY (workspace, name, alias);
ALTER TABLE ONLY public.mcp_server_tags
    ADD CONSTRAINT mcp_server_tags_pk PRIMARY KEY (workspace, name, key);
ALTER TABLE ONLY public.mcp_server_version_tags
    ADD CONSTRAINT mcp_server_version_tags_pk PRIMARY KEY (workspace, name, version, key);
ALTER TABLE ONLY public.mcp_server_versions
    ADD CONSTRAINT mcp_server_versions_pk PRIMARY KEY (workspace, name, version);
ALTER TABLE ONLY public.mcp_servers
    ADD CONSTRAINT mcp_servers_pk PRIMARY KEY (workspace, name);
ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT metric_pk PRIMARY KEY (key, "timestamp", step, run_uuid, value, is_nan);
ALTER TABLE ONLY public.model_definitions
    ADD CONSTRAINT model_definitions_pk PRIMARY KEY (model_definition_id);
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_version_pk PRIMARY KEY (workspace, name, version);
ALTER TABLE ONLY public.model_version_tags
    ADD CONSTRAINT model_version_tag_pk PRIMARY KEY (workspace, key, name, version);
ALTER TABLE ONLY public.online_scoring_configs
    ADD CONSTRAINT online_scoring_config_pk PRIMARY KEY (online_scoring_config_id);
ALTER TABLE ONLY public.params
    ADD CONSTRAINT param_pk PRIMARY KEY (key, run_uuid);
ALTER TABLE ONLY public.registered_model_aliases
    ADD CONSTRAINT registered_model_alias_pk PRIMARY KEY (workspace, name, alias);
ALTER TABLE ONLY public.registered_models
    ADD CONSTRAINT registered_model_pk PRIMARY KEY (workspace, name);
ALTER TABLE ONLY public.registered_model_tags
    ADD CONSTRAINT registered_model_tag_pk PRIMARY KEY (workspace, key, name);
ALTER TABLE ONLY public.review_queue_items
    ADD CONSTRAINT review_queue_items_pk PRIMARY KEY (queue_id, item_id);
ALTER TABLE ONLY public.review_queue_label_schemas
    ADD CONSTRAINT review_queue_label_schemas_pk PRIMARY KEY (queue_id, schema_id);
ALTER TABLE ONLY public.review_queue_users
    ADD CONSTRAINT review_queue_users_pk PRIMARY KEY (queue_id, user_id);
ALTER TABLE ONLY public.review_queues
    ADD CONSTRAINT review_queues_pk PRIMARY KEY (queue_id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT run_pk PRIMARY KEY (run_uuid);
ALTER TABLE ONLY public.scheduler_leases
    ADD CONSTRAINT scheduler_leases_pk PRIMARY KEY (lease_key);
ALTER TABLE ONLY public.scorers
    ADD CONSTRAINT scorer_pk PRIMARY KEY (scorer_id);
ALTER TABLE ONLY public.scorer_versions
    ADD CONSTRAINT scorer_version_pk PRIMARY KEY (scorer_id, scorer_version);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pk PRIMARY KEY (secret_id);
ALTER TABLE ONLY public.span_metrics
    ADD CONSTRAINT span_metrics_pk PRIMARY KEY (trace_id, span_id, key);
ALTER TABLE ONLY public.spans
    ADD CONSTRAINT spans_pk PRIMARY KEY (trace_id, span_id);
ALTER TABLE ONLY public.sql_assessment_daily_rollups
    ADD CONSTRAINT sql_assessment_daily_rollups_pk PRIMARY KEY (id);
ALTER TABLE ONLY public.sql_span_cost_daily_rollups
    ADD CONSTRAINT sql_span_cost_daily_rollups_pk PRIMARY KEY (id);
ALTER TABLE ONLY public.sql_trace_metric_daily_rollups
    ADD CONSTRAINT sql_trace_metric_daily_rollups_pk PRIMARY KEY (id);
ALTER TABLE ONLY public.sql_trace_rollup_rebuild_queue
    ADD CONSTRAINT sql_trace_rollup_rebuild_queue_pk PRIMARY KEY (experiment_id, rollup_day, rollup_family);
ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tag_pk PRIMARY KEY (key, run_uuid);
ALTER TABLE ONLY public.trace_info
    ADD CONSTRAINT trace_info_pk PRIMARY KEY (request_id);
ALTER TABLE ONLY public.trace_metrics
    ADD CONSTRAINT trace_metrics_pk PRIMARY KEY (request_id, key);
ALTER TABLE ONLY public.trace_request_metadata
    ADD CONSTRAINT trace_request_metadata_pk PRIMARY KEY (key, request_id);
ALTER TABLE ONLY public.trace_tags
    ADD CONSTRAINT trace_tag_pk PRIMARY KEY (key, request_id);
ALTER TABLE ONLY public.evaluation_dataset_records
    ADD CONSTRAINT unique_dataset_input UNIQUE (dataset_id, input_hash);
ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT uq_endpoints_workspace_name UNIQUE (workspace, name);
ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name);
ALTER TABLE ONLY public.label_schemas
    ADD CONSTRAINT uq_label_schemas_exp_name UNIQUE (experiment_id, name);
ALTER TABLE ONLY public.model_definitions
    ADD CONSTRAINT uq_model_definitions_workspace_name UNIQUE (workspace, name);
ALTER TABLE ONLY public.review_queues
    ADD CONSTRAINT uq_review_queues_experiment_name_key UNIQUE (experiment_id, name_key);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT uq_secrets_workspace_secret_name UNIQUE (workspace, secret_name);
ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_event_pk PRIMARY KEY (webhook_id, entity, action);
ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhook_pk PRIMARY KEY (webhook_id);
ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pk PRIMARY KEY (name);
CREATE INDEX idx_assessment_rollups_lookup ON public.sql_assessment_daily_rollups USING btree (experiment_id, rollup_day, metric_name, grouping_set);
CREATE INDEX idx_assessments_exp_name_valid ON public.assessments USING btree (experiment_id, name, valid);
CREATE INDEX idx_assessments_exp_trace_ts ON public.assessments USING btree (experiment_id, trace_timestamp_ms);
CREATE INDEX idx_assessments_exp_trace_ts_name ON public.assessments USING btree (experiment_id, trace_timestamp_ms, name);
CREATE INDEX idx_budget_policies_target_value ON public.budget_policies USING btree (target_value);
CREATE INDEX idx_budget_policies_workspace ON public.budget_policies USING btree (workspace);
CREATE INDEX idx_endpoints_workspace ON public.endpoints USING btree (workspace);
CREATE INDEX idx_evaluation_datasets_workspace ON public.evaluation_datasets USING btree (workspace);
CREATE INDEX idx_experiments_workspace ON public.experiments USING btree (workspace);
CREATE INDEX idx_experiments_workspace_creation_time ON public.experiments USING btree (workspace, creation_time);
CREATE INDEX idx_guardrail_configs_endpoint_id ON public.guardrail_configs USING btree (endpoint_id);
CREATE INDEX idx_guardrail_configs_guardrail_id ON public.guardrail_configs USING btree (guardrail_id);
CREATE INDEX idx_guardrails_scorer ON public.guardrails USING btree (scorer_id, scorer_version);
CREATE INDEX idx_guardrails_workspace ON public.guardrails USING btree (workspace);
CREATE INDEX idx_mcp_server_versions_latest ON public.mcp_server_versions USING btree (workspace, name, status, version_major DESC, version_minor DESC, version_patch DESC);
CREATE INDEX idx_model_definitions_workspace ON public.model_definitions USING btree (workspace);
CREATE INDEX idx_model_version_tags_workspace_name_version ON public.model_version_tags USING btree (workspace, name, version);
CREATE INDEX idx_registered_model_tags_workspace_name ON public.registered_model_tags USING btree (workspace, name);
CREATE INDEX idx_registered_models_workspace ON public.registered_models USING btree (workspace);
CREATE INDEX idx_secrets_workspace ON public.secrets USING btree (workspace);
CREATE INDEX idx_span_cost_rollups_lookup ON public.sql_span_cost_daily_rollups USING btree (experiment_id, rollup_day, metric_name, grouping_set, model_name, model_provider);
CREATE INDEX idx_spans_cost_exp_time_cover ON public.spans USING btree (experiment_id, start_time_unix_nano) INCLUDE (input_cost, output_cost, total_cost, model_name, model_provider) WHERE ((input_cost IS NOT NULL) OR (output_cost IS NOT NULL) OR (total_cost IS NOT NULL));
CREATE INDEX idx_spans_cost_trace_time_cover ON public.spans USING btree (trace_id, start_time_unix_nano) INCLUDE (input_cost, output_cost, total_cost, model_name, model_provider) WHERE ((input_cost IS NOT NULL) OR (output_cost IS NOT NULL) OR (total_cost IS NOT NULL));
CREATE INDEX idx_trace_rollups_lookup ON public.sql_trace_metric_daily_rollups USING btree (experiment_id, rollup_day, metric_name, grouping_set, trace_status);
CREATE INDEX idx_webhook_events_action ON public.webhook_events USING btree (action);
CREATE INDEX idx_webhook_events_entity ON public.webhook_events USING btree (entity);
CREATE INDEX idx_webhook_events_entity_action ON public.webhook_events USING btree (entity, action);
CREATE INDEX idx_webhooks_name ON public.webhooks USING btree (name);
CREATE INDEX idx_webhooks_status ON public.webhooks USING btree (status);
CREATE INDEX idx_webhooks_workspace ON public.webhooks USING btree (workspace);
CREATE INDEX index_assessments_assessment_type ON public.assessments USING btree (assessment_type);
CREATE INDEX index_assessments_last_updated_timestamp ON public.assessments USING btree (last_updated_timestamp);
CREATE INDEX index_assessments_run_id_created_timestamp ON public.assessments USING btree (run_id, created_timestamp);
CREATE INDEX index_assessments_trace_id_created_timestamp ON public.assessments USING btree (trace_id, created_timestamp);
CREATE INDEX index_datasets_dataset_uuid ON public.datasets USING btree (dataset_uuid);
CREATE INDEX index_datasets_experiment_id_dataset_source_type ON public.datasets USING btree (experiment_id, dataset_source_type);
CREATE INDEX index_endpoint_model_mappings_endpoint_id ON public.endpoint_model_mappings USING btree (endpoint_id);
CREATE INDEX index_endpoint_model_mappings_model_definition_id ON public.endpoint_model_mappings USING btree (model_definition_id);
CREATE INDEX index_endpoint_tags_endpoint_id ON public.endpoint_tags USING btree (endpoint_id);
CREATE INDEX index_entity_associations_association_id ON public.entity_associations USING btree (association_id);
CREATE INDEX index_entity_associations_reverse_lookup ON public.entity_associations USING btree (destination_type, destination_id, source_type, source_id);
CREATE INDEX index_evaluation_dataset_records_dataset_id ON public.evaluation_dataset_records USING btree (dataset_id);
CREATE INDEX index_evaluation_dataset_tags_dataset_id ON public.evaluation_dataset_tags USING btree (dataset_id);
CREATE INDEX index_evaluation_datasets_created_time ON public.evaluation_datasets USING btree (created_time);
CREATE INDEX index_evaluation_datasets_name ON public.evaluation_datasets USING btree (name);
CREATE INDEX index_inputs_destination_type_destination_id_source_type ON public.inputs USING btree (destination_type, destination_id, source_type);
CREATE INDEX index_inputs_input_uuid ON public.inputs USING btree (input_uuid);
CREATE INDEX index_issues_experiment_id ON public.issues USING btree (experiment_id);
CREATE INDEX index_issues_source_run_id ON public.issues USING btree (source_run_id);
CREATE INDEX index_issues_status ON public.issues USING btree (status);
CREATE INDEX index_job_locks_job_id ON public.job_locks USING btree (job_id);
CREATE INDEX index_jobs_name_status_creation_time ON public.jobs USING btree (job_name, workspace, status, creation_time);
CREATE INDEX index_jobs_status_lease_expires_at ON public.jobs USING btree (status, lease_expires_at);
CREATE INDEX index_label_schemas_experiment_id ON public.label_schemas USING btree (experiment_id);
CREATE INDEX index_latest_metrics_run_uuid ON public.latest_metrics USING btree (run_uuid);
CREATE INDEX index_logged_model_metrics_model_id ON public.logged_model_metrics USING btree (model_id);
CREATE INDEX index_metrics_run_uuid ON public.metrics USING btree (run_uuid);
CREATE INDEX index_metrics_run_uuid_key_step ON public.metrics USING btree (run_uuid, key, step);
CREATE INDEX index_model_definitions_provider ON public.model_definitions USING btree (provider);
CREATE INDEX index_model_definitions_secret_id ON public.model_definitions USING btree (secret_id);
CREATE INDEX index_params_run_uuid ON public.params USING btree (run_uuid);
CREATE INDEX index_review_queue_items_item_id ON public.review_queue_items USING btree (item_id);
CREATE INDEX index_review_queue_items_queue_id_status ON public.review_queue_items USING btree (queue_id, status);
CREATE INDEX index_review_queue_label_schemas_schema_id ON public.review_queue_label_schemas USING btree (schema_id);
CREATE INDEX index_review_queue_users_user_id ON public.review_queue_users USING btree (user_id);
CREATE INDEX index_review_queues_experiment_id ON public.review_queues USING btree (experiment_id);
CREATE INDEX index_scorer_versions_scorer_id ON public.scorer_versions USING btree (scorer_id);
CREATE UNIQUE INDEX index_scorers_experiment_id_scorer_name ON public.scorers USING btree (experiment_id, scorer_name);
CREATE INDEX index_span_metrics_trace_id_span_id ON public.span_metrics USING btree (trace_id, span_id);
CREATE INDEX index_spans_experiment_id_duration ON public.spans USING btree (experiment_id, duration_ns);
CREATE INDEX index_spans_experiment_id_start_time ON public.spans USING btree (experiment_id, start_time_unix_nano);
CREATE INDEX index_spans_experiment_id_status_type ON public.spans USING btree (experiment_id, status, type);
CREATE INDEX index_spans_experiment_id_type_status ON public.spans USING btree (experiment_id, type, status);
CREATE INDEX index_tags_run_uuid ON public.tags USING btree (run_uuid);
CREATE INDEX index_trace_info_experiment_id_session_id ON public.trace_info USING btree (experiment_id, session_id);
CREATE INDEX index_trace_info_experiment_id_timestamp_ms ON public.trace_info USING btree (experiment_id, timestamp_ms);
CREATE INDEX index_trace_info_timestamp_ms_request_id ON public.trace_info USING btree (timestamp_ms, request_id);
CREATE INDEX index_trace_metrics_request_id ON public.trace_metrics USING btree (request_id);
CREATE INDEX index_trace_request_metadata_request_id ON public.trace_request_metadata USING btree (request_id);
CREATE INDEX index_trace_tags_request_id ON public.trace_tags USING btree (request_id);
CREATE INDEX ix_mcp_access_endpoints_alias ON public.mcp_access_endpoints USING btree (workspace, server_name, server_alias);
CREATE INDEX ix_mcp_access_endpoints_server_name ON public.mcp_access_endpoints USING btree (workspace, server_name);
CREATE INDEX ix_mcp_access_endpoints_version ON public.mcp_access_endpoints USING btree (workspace, server_name, server_version);
CREATE UNIQUE INDEX unique_endpoint_model_linkage_mapping ON public.endpoint_model_mappings USING btree (endpoint_id, model_definition_id, linkage_type);
CREATE TRIGGER prevent_secrets_aad_mutation BEFORE UPDATE ON public.secrets FOR EACH ROW EXECUTE FUNCTION public.prevent_secrets_aad_mutation();
ALTER TABLE ONLY public.experiment_tags
    ADD CONSTRAINT experiment_tags_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id);
ALTER TABLE ONLY public.assessments
    ADD CONSTRAINT fk_assessments_trace_id FOREIGN KEY (trace_id) REFERENCES public.trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT fk_datasets_experiment_id_experiments FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.endpoint_bindings
    ADD CONSTRAINT fk_endpoint_bindings_endpoint_id FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(endpoint_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.endpoint_model_mappings
    ADD CONSTRAINT fk_endpoint_model_mappings_endpoint_id FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(endpoint_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.endpoint_model_mappings
    ADD CONSTRAINT fk_endpoint_model_mappings_model_definition_id FOREIGN KEY (model_definition_id) REFERENCES public.model_definitions(model_definition_id);
ALTER TABLE ONLY public.endpoint_tags
    ADD CONSTRAINT fk_endpoint_tags_endpoint_id FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(endpoint_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT fk_endpoints_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE SET NULL;
ALTER TABLE ONLY public.evaluation_dataset_records
    ADD CONSTRAINT fk_evaluation_dataset_records_dataset_id FOREIGN KEY (dataset_id) REFERENCES public.evaluation_datasets(dataset_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.evaluation_dataset_tags
    ADD CONSTRAINT fk_evaluation_dataset_tags_dataset_id FOREIGN KEY (dataset_id) REFERENCES public.evaluation_datasets(dataset_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.guardrail_configs
    ADD CONSTRAINT fk_guardrail_configs_endpoint_id FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(endpoint_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.guardrail_configs
    ADD CONSTRAINT fk_guardrail_configs_guardrail_id FOREIGN KEY (guardrail_id) REFERENCES public.guardrails(guardrail_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.guardrails
    ADD CONSTRAINT fk_guardrails_action_endpoint_id FOREIGN KEY (action_endpoint_id) REFERENCES public.endpoints(endpoint_id) ON DELETE SET NULL;
ALTER TABLE ONLY public.guardrails
    ADD CONSTRAINT fk_guardrails_scorer_version FOREIGN KEY (scorer_id, scorer_version) REFERENCES public.scorer_versions(scorer_id, scorer_version);
ALTER TABLE ONLY public.issues
    ADD CONSTRAINT fk_issues_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.issues
    ADD CONSTRAINT fk_issues_source_run_id FOREIGN KEY (source_run_id) REFERENCES public.runs(run_uuid) ON DELETE SET NULL;
ALTER TABLE ONLY public.job_locks
    ADD CONSTRAINT fk_job_locks_job_id FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.label_schemas
    ADD CONSTRAINT fk_label_schemas_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.logged_model_metrics
    ADD CONSTRAINT fk_logged_model_metrics_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id);
ALTER TABLE ONLY public.logged_model_metrics
    ADD CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY (model_id) REFERENCES public.logged_models(model_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.logged_model_metrics
    ADD CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY (run_id) REFERENCES public.runs(run_uuid) ON DELETE CASCADE;
ALTER TABLE ONLY public.logged_model_params
    ADD CONSTRAINT fk_logged_model_params_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id);
ALTER TABLE ONLY public.logged_model_params
    ADD CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY (model_id) REFERENCES public.logged_models(model_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.logged_model_tags
    ADD CONSTRAINT fk_logged_model_tags_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id);
ALTER TABLE ONLY public.logged_model_tags
    ADD CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY (model_id) REFERENCES public.logged_models(model_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.logged_models
    ADD CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.model_definitions
    ADD CONSTRAINT fk_model_definitions_secret_id FOREIGN KEY (secret_id) REFERENCES public.secrets(secret_id) ON DELETE SET NULL;
ALTER TABLE ONLY public.model_version_tags
    ADD CONSTRAINT fk_model_version_tags_model_versions FOREIGN KEY (workspace, name, version) REFERENCES public.model_versions(workspace, name, version) ON UPDATE CASCADE;
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT fk_model_versions_registered_models FOREIGN KEY (workspace, name) REFERENCES public.registered_models(workspace, name) ON UPDATE CASCADE;
ALTER TABLE ONLY public.online_scoring_configs
    ADD CONSTRAINT fk_online_scoring_configs_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id);
ALTER TABLE ONLY public.online_scoring_configs
    ADD CONSTRAINT fk_online_scoring_configs_scorer_id FOREIGN KEY (scorer_id) REFERENCES public.scorers(scorer_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.registered_model_aliases
    ADD CONSTRAINT fk_registered_model_aliases_registered_models FOREIGN KEY (workspace, name) REFERENCES public.registered_models(workspace, name) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY public.registered_model_tags
    ADD CONSTRAINT fk_registered_model_tags_registered_models FOREIGN KEY (workspace, name) REFERENCES public.registered_models(workspace, name) ON UPDATE CASCADE;
ALTER TABLE ONLY public.review_queue_items
    ADD CONSTRAINT fk_review_queue_items_queue_id FOREIGN KEY (queue_id) REFERENCES public.review_queues(queue_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.review_queue_label_schemas
    ADD CONSTRAINT fk_review_queue_label_schemas_queue_id FOREIGN KEY (queue_id) REFERENCES public.review_queues(queue_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.review_queue_users
    ADD CONSTRAINT fk_review_queue_users_queue_id FOREIGN KEY (queue_id) REFERENCES public.review_queues(queue_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.review_queues
    ADD CONSTRAINT fk_review_queues_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.scorer_versions
    ADD CONSTRAINT fk_scorer_versions_scorer_id FOREIGN KEY (scorer_id) REFERENCES public.scorers(scorer_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.scorers
    ADD CONSTRAINT fk_scorers_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.span_metrics
    ADD CONSTRAINT fk_span_metrics_span FOREIGN KEY (trace_id, span_id) REFERENCES public.spans(trace_id, span_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.spans
    ADD CONSTRAINT fk_spans_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id);
ALTER TABLE ONLY public.spans
    ADD CONSTRAINT fk_spans_trace_id FOREIGN KEY (trace_id) REFERENCES public.trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trace_info
    ADD CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trace_metrics
    ADD CONSTRAINT fk_trace_metrics_request_id FOREIGN KEY (request_id) REFERENCES public.trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trace_request_metadata
    ADD CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY (request_id) REFERENCES public.trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trace_tags
    ADD CONSTRAINT fk_trace_tags_request_id FOREIGN KEY (request_id) REFERENCES public.trace_info(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.latest_metrics
    ADD CONSTRAINT latest_metrics_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES public.runs(run_uuid);
ALTER TABLE ONLY public.mcp_access_endpoints
    ADD CONSTRAINT mcp_access_endpoints_server_fkey FOREIGN KEY (workspace, server_name) REFERENCES public.mcp_servers(workspace, name) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY public.mcp_server_aliases
    ADD CONSTRAINT mcp_server_aliases_server_fkey FOREIGN KEY (workspace, name) REFERENCES public.mcp_servers(workspace, name) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY public.mcp_server_tags
    ADD CONSTRAINT mcp_server_tags_server_fkey FOREIGN KEY (workspace, name) REFERENCES public.mcp_servers(workspace, name) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY public.mcp_server_version_tags
    ADD CONSTRAINT mcp_server_version_tags_version_fkey FOREIGN KEY (workspace, name, version) REFERENCES public.mcp_server_versions(workspace, name, version) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY public.mcp_server_versions
    ADD CONSTRAINT mcp_server_versions_server_fkey FOREIGN KEY (workspace, name) REFERENCES public.mcp_servers(workspace, name) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT metrics_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES public.runs(run_uuid);
ALTER TABLE ONLY public.params
    ADD CONSTRAINT params_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES public.runs(run_uuid);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(experiment_id);
ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_run_uuid_fkey FOREIGN KEY (run_uuid) REFERENCES public.runs(run_uuid);
ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_events_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES public.webhooks(webhook_id) ON DELETE CASCADE;
