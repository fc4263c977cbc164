SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.executions_candidate_changes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_candidate_goes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_change_applied() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
                BEGIN
                    IF EXISTS (SELECT 1 FROM executions_subscription WHERE state = 'active') THEN
                        INSERT INTO executions_outgoingdelivery (cuid, subscription_id, event, data, at, state, due_at, attempt, fence) SELECT 'c' || left(replace(gen_random_uuid()::text, '-', ''), 24), s.id, e.event, jsonb_build_object('workflow', NEW.cuid, 'from', jsonb_build_object('entity_name', OLD.entity_name, 'entity_name_type', (SELECT t.cuid FROM workflows_findingtype t WHERE t.id = OLD.entity_name_type_id), 'primary_record_type_id', (SELECT t.cuid FROM workflows_recordtype t WHERE t.id = OLD.primary_record_type_id)), 'to', jsonb_build_object('entity_name', NEW.entity_name, 'entity_name_type', (SELECT t.cuid FROM workflows_findingtype t WHERE t.id = NEW.entity_name_type_id), 'primary_record_type_id', (SELECT t.cuid FROM workflows_recordtype t WHERE t.id = NEW.primary_record_type_id))), clock_timestamp(), 'waiting', clock_timestamp(), 0, 0 FROM executions_subscription s CROSS JOIN (SELECT 'change.applied' AS event) e  WHERE s.state = 'active' AND s.events @> to_jsonb(e.event) AND (s.workflow_id IS NULL OR s.workflow_id = NEW.id) AND (s.entity_name_type_id IS NULL OR s.entity_name_type_id IN (OLD.entity_name_type_id, NEW.entity_name_type_id)) ORDER BY s.id;
                    END IF;
                    RETURN NULL;
                END $$;
CREATE FUNCTION public.executions_change_refused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
                BEGIN
                    IF EXISTS (SELECT 1 FROM executions_subscription WHERE state = 'active') THEN
                        INSERT INTO executions_outgoingdelivery (cuid, subscription_id, event, data, at, state, due_at, attempt, fence) SELECT 'c' || left(replace(gen_random_uuid()::text, '-', ''), 24), s.id, e.event, jsonb_build_object('workflow', w.cuid, 'code', CASE WHEN NEW.refused THEN NEW.code ELSE (SELECT p.code FROM workflows_pendingchange p WHERE p.cuid = NEW.cuid) END, 'from', jsonb_build_object('entity_name', w.entity_name, 'entity_name_type', (SELECT t.cuid FROM workflows_findingtype t WHERE t.id = w.entity_name_type_id), 'primary_record_type_id', (SELECT t.cuid FROM workflows_recordtype t WHERE t.id = w.primary_record_type_id)), 'to', jsonb_build_object('entity_name', CASE WHEN jsonb_exists(NEW.after, 'entity_name') THEN NEW.after ->> 'entity_name' ELSE w.entity_name END, 'entity_name_type', CASE WHEN jsonb_exists(NEW.after, 'entity_name_type') THEN NEW.after ->> 'entity_name_type' ELSE (SELECT t.cuid FROM workflows_findingtype t WHERE t.id = w.entity_name_type_id) END, 'primary_record_type_id', CASE WHEN jsonb_exists(NEW.after, 'primary_record_type') THEN NEW.after ->> 'primary_record_type' ELSE (SELECT t.cuid FROM workflows_recordtype t WHERE t.id = w.primary_record_type_id) END)), clock_timestamp(), 'waiting', clock_timestamp(), 0, 0 FROM executions_subscription s CROSS JOIN (SELECT 'change.refused' AS event) e JOIN workflows_workflow w ON CASE WHEN NEW.refused THEN w.cuid = NEW.cuid ELSE w.cuid IN (SELECT jsonb_array_elements_text(NEW.after -> 'workflows')) END WHERE s.state = 'active' AND s.events @> to_jsonb(e.event) AND (s.workflow_id IS NULL OR s.workflow_id = w.id) AND (s.entity_name_type_id IS NULL OR s.entity_name_type_id IN (w.entity_name_type_id, (SELECT t.id FROM workflows_findingtype t WHERE t.cuid = CASE WHEN jsonb_exists(NEW.after, 'entity_name_type') THEN NEW.after ->> 'entity_name_type' ELSE (SELECT t.cuid FROM workflows_findingtype t WHERE t.id = w.entity_name_type_id) END))) ORDER BY w.id, s.id;
                    END IF;
                    RETURN NULL;
                END $$;
CREATE FUNCTION public.executions_execution_begun() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
                BEGIN
                    IF EXISTS (SELECT 1 FROM executions_subscription WHERE state = 'active') THEN
                        INSERT INTO executions_outgoingdelivery (cuid, subscription_id, event, data, at, state, due_at, attempt, fence) SELECT 'c' || left(replace(gen_random_uuid()::text, '-', ''), 24), s.id, e.event, jsonb_build_object('execution', NEW.cuid, 'status', NEW.status, 'workflow', w.cuid, 'version', v.number, 'entity', n.cuid, 'root', root.cuid, 'parent', parent.cuid), clock_timestamp(), 'waiting', clock_timestamp(), 0, 0 FROM executions_subscription s CROSS JOIN (SELECT 1 AS place, CASE WHEN NEW.status IN ('active', 'waiting', 'completed', 'failed') THEN 'execution.started' END AS event UNION ALL SELECT 2, CASE WHEN NEW.status IN ('waiting', 'completed', 'failed', 'cancelled') THEN 'execution.' || NEW.status END) e JOIN workflows_workflow w ON w.id = NEW.workflow_id JOIN workflows_version v ON v.id = NEW.version_id JOIN executions_entity n ON n.id = NEW.entity_id LEFT JOIN executions_execution root ON root.id = NEW.root_id LEFT JOIN executions_execution parent ON parent.id = NEW.parent_id WHERE s.state = 'active' AND s.events @> to_jsonb(e.event) AND (s.workflow_id IS NULL OR s.workflow_id = NEW.workflow_id) AND (s.entity_name_type_id IS NULL OR s.entity_name_type_id IN (n.entity_name_type_id)) ORDER BY e.place, s.id;
                    END IF;
                    RETURN NULL;
                END $$;
CREATE FUNCTION public.executions_execution_went_on() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
                BEGIN
                    IF EXISTS (SELECT 1 FROM executions_subscription WHERE state = 'active') THEN
                        INSERT INTO executions_outgoingdelivery (cuid, subscription_id, event, data, at, state, due_at, attempt, fence) SELECT 'c' || left(replace(gen_random_uuid()::text, '-', ''), 24), s.id, e.event, jsonb_build_object('execution', NEW.cuid, 'status', NEW.status, 'workflow', w.cuid, 'version', v.number, 'entity', n.cuid, 'root', root.cuid, 'parent', parent.cuid), clock_timestamp(), 'waiting', clock_timestamp(), 0, 0 FROM executions_subscription s CROSS JOIN (SELECT 1 AS place, CASE WHEN NEW.status IN ('active', 'waiting', 'completed', 'failed') AND OLD.status = 'scheduled' THEN 'execution.started' END AS event UNION ALL SELECT 2, CASE WHEN NEW.status IN ('waiting', 'completed', 'failed', 'cancelled') THEN 'execution.' || NEW.status END) e JOIN workflows_workflow w ON w.id = NEW.workflow_id JOIN workflows_version v ON v.id = NEW.version_id JOIN executions_entity n ON n.id = NEW.entity_id LEFT JOIN executions_execution root ON root.id = NEW.root_id LEFT JOIN executions_execution parent ON parent.id = NEW.parent_id WHERE s.state = 'active' AND s.events @> to_jsonb(e.event) AND (s.workflow_id IS NULL OR s.workflow_id = NEW.workflow_id) AND (s.entity_name_type_id IS NULL OR s.entity_name_type_id IN (n.entity_name_type_id)) ORDER BY e.place, s.id;
                    END IF;
                    RETURN NULL;
                END $$;
CREATE FUNCTION public.executions_group_permission_granted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_group_permission_taken() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_member_joins() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_member_leaves() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_permission_granted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_permission_taken() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.executions_user_activity() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO executions_peoplechange (at) VALUES (CURRENT_TIMESTAMP); RETURN NULL; END $$;
CREATE FUNCTION public.holdfast_attached() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
    DECLARE parent_stays boolean := true;
    BEGIN
        IF TG_ARGV[0] <> '' THEN
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE id = ($1).%I)',
                           TG_ARGV[0], TG_ARGV[1])
                INTO parent_stays USING OLD;
        END IF;
        IF parent_stays AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u
                WHERE u.table_name = TG_TABLE_NAME AND u.row_id = OLD.id) THEN
            RAISE EXCEPTION 'a row of % goes only with its parent', TG_TABLE_NAME
                USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
        END IF;
        RETURN NULL;
    END $_$;
CREATE FUNCTION public.holdfast_ended_tokens() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
                BEGIN
                    DELETE FROM knox_authtoken WHERE user_id = NEW.id;
                    RETURN NULL;
                END $$;
CREATE FUNCTION public.holdfast_sealed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM workflows_unsealed u
                   WHERE u.table_name = TG_TABLE_NAME AND u.row_id = OLD.id) THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION '% is written once', TG_TABLE_NAME
            USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END $$;
CREATE FUNCTION public.workflows_reference_drawn() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            IF 
    EXISTS (SELECT 1 FROM workflows_version WHERE id = NEW.version_id)
    AND NOT EXISTS (
        SELECT 1 FROM workflows_version v
        JOIN workflows_workflow callee ON callee.id = NEW.callee_id
        WHERE v.id = NEW.version_id
        AND v.source @> jsonb_build_object('nodes', jsonb_build_array(jsonb_build_object(
            'type', 'run_workflow', 'id', NEW.node_id,
            'data', jsonb_build_object('workflow', callee.cuid)))))
 AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u
                    WHERE u.table_name = TG_TABLE_NAME AND u.row_id = NEW.id) THEN
                RAISE EXCEPTION 'refused by %', TG_NAME
                    USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        END $$;
CREATE FUNCTION public.workflows_workflow_called() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            IF 
    NEW.state = 'retired' AND OLD.state <> 'retired' AND EXISTS (
        SELECT 1 FROM workflows_reference r
        JOIN workflows_version v ON v.id = r.version_id AND v.in_force
        JOIN workflows_workflow caller ON caller.id = v.workflow_id
        WHERE r.callee_id = NEW.id AND caller.id <> NEW.id AND caller.state <> 'retired'
        AND NOT EXISTS (SELECT 1 FROM workflows_version n
            WHERE n.workflow_id = v.workflow_id AND n.number > v.number))
 AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u
                    WHERE u.table_name = TG_TABLE_NAME AND u.row_id = NEW.id) THEN
                RAISE EXCEPTION 'refused by %', TG_NAME
                    USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.auth_group (
    id integer NOT NULL,
    name character varying(150) NOT NULL
);
ALTER TABLE public.auth_group ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.auth_group_permissions (
    id bigint NOT NULL,
    group_id integer NOT NULL,
    permission_id integer NOT NULL
);
ALTER TABLE public.auth_group_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.auth_permission (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    content_type_id integer NOT NULL,
    codename character varying(100) NOT NULL
);
ALTER TABLE public.auth_permission ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_permission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.auth_user (
    id integer NOT NULL,
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    username character varying(150) NOT NULL,
    first_name character varying(150) NOT NULL,
    last_name character varying(150) NOT NULL,
    email character varying(254) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamp with time zone NOT NULL
);
CREATE TABLE public.auth_user_groups (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    group_id integer NOT NULL
);
ALTER TABLE public.auth_user_groups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE public.auth_user ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.auth_user_user_permissions (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    permission_id integer NOT NULL
);
ALTER TABLE public.auth_user_user_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_user_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.django_admin_log (
    id integer NOT NULL,
    action_time timestamp with time zone NOT NULL,
    object_id text,
    object_repr character varying(200) NOT NULL,
    action_flag smallint NOT NULL,
    change_message text NOT NULL,
    content_type_id integer,
    user_id integer NOT NULL,
    CONSTRAINT django_admin_log_action_flag_check CHECK ((action_flag >= 0))
);
ALTER TABLE public.django_admin_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_admin_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.django_content_type (
    id integer NOT NULL,
    app_label character varying(100) NOT NULL,
    model character varying(100) NOT NULL
);
ALTER TABLE public.django_content_type ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_content_type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);
ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.django_session (
    session_key character varying(40) NOT NULL,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);
CREATE TABLE public.executions_bulkitem (
    id bigint NOT NULL,
    state character varying(32) NOT NULL,
    code character varying(64) NOT NULL,
    detail text NOT NULL,
    execution_id bigint NOT NULL,
    operation_id bigint NOT NULL,
    CONSTRAINT executions_bulkitem_state CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'done'::character varying, 'refused'::character varying])::text[])))
);
ALTER TABLE public.executions_bulkitem ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_bulkitem_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_bulkoperation (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    kind character varying(32) NOT NULL,
    state character varying(32) NOT NULL,
    why text NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    due_at timestamp with time zone,
    leased_until timestamp with time zone,
    fence bigint NOT NULL,
    asked_by_id integer,
    asked_by_name character varying(254) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT executions_bulk_kind CHECK (((kind)::text = ANY ((ARRAY['cancel'::character varying, 'retry'::character varying, 'wake'::character varying])::text[]))),
    CONSTRAINT executions_bulk_state CHECK (((state)::text = ANY ((ARRAY['asked'::character varying, 'working'::character varying, 'done'::character varying, 'stopped'::character varying])::text[])))
);
ALTER TABLE public.executions_bulkoperation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_bulkoperation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_delivery (
    id bigint NOT NULL,
    delivery character varying(128) NOT NULL,
    execution_id bigint,
    workflow_id bigint NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    entity_cuid character varying(25) DEFAULT ''::character varying NOT NULL,
    execution_cuid character varying(25) DEFAULT ''::character varying NOT NULL
);
ALTER TABLE public.executions_delivery ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_deliveryattempt (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    milliseconds integer NOT NULL,
    status integer,
    answer text NOT NULL,
    error text NOT NULL,
    delivery_id bigint NOT NULL,
    CONSTRAINT executions_deliveryattempt_milliseconds_check CHECK ((milliseconds >= 0)),
    CONSTRAINT executions_deliveryattempt_status_check CHECK ((status >= 0))
);
ALTER TABLE public.executions_deliveryattempt ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_deliveryattempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_entity (
    id bigint NOT NULL,
    entity_name character varying(32) NOT NULL,
    context_key text GENERATED ALWAYS AS ((COALESCE((entity_name)::text, ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE((COALESCE(COALESCE((entity_name_type_id)::text, ''::text), ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE(COALESCE((primary_record_type_id)::text, ''::text), ''::text)), ''::text)), ''::text)), ''::text))) STORED,
    cuid character varying(25) NOT NULL,
    title character varying(200) NOT NULL,
    fields jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    entity_name_type_id bigint,
    primary_record_type_id bigint,
    inventory_model_id bigint,
    CONSTRAINT executions_entity_fields CHECK ((jsonb_typeof(fields) = 'object'::text)),
    CONSTRAINT executions_entity_shape CHECK (((((entity_name)::text = 'Finding'::text) AND (entity_name_type_id IS NOT NULL) AND (primary_record_type_id IS NULL)) OR (((entity_name)::text = 'InventoryModel'::text) AND (entity_name_type_id IS NULL) AND (primary_record_type_id IS NOT NULL))))
);
ALTER TABLE public.executions_entity ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_entity_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_execution (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    status character varying(32) NOT NULL,
    context_key text NOT NULL,
    live boolean GENERATED ALWAYS AS (
CASE
    WHEN ((status)::text = ANY ((ARRAY['scheduled'::character varying, 'active'::character varying, 'waiting'::character varying])::text[])) THEN true
    ELSE false
END) STORED,
    live_key text GENERATED ALWAYS AS (
CASE
    WHEN ((status)::text = ANY ((ARRAY['scheduled'::character varying, 'active'::character varying, 'waiting'::character varying])::text[])) THEN context_key
    ELSE NULL::text
END) STORED,
    message text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    entity_id bigint NOT NULL,
    parent_id bigint,
    root_id bigint,
    started_by_id integer,
    version_id bigint NOT NULL,
    workflow_id bigint NOT NULL,
    progress double precision,
    scheduled_for timestamp with time zone,
    stage character varying(200) NOT NULL,
    updated_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    started_by_name character varying(254) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT executions_execution_status CHECK (((status)::text = ANY ((ARRAY['scheduled'::character varying, 'active'::character varying, 'waiting'::character varying, 'completed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[])))
);
ALTER TABLE public.executions_execution ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_execution_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_formdraft (
    id bigint NOT NULL,
    data jsonb NOT NULL,
    saved_at timestamp with time zone NOT NULL,
    step_id bigint NOT NULL,
    user_id integer NOT NULL
);
ALTER TABLE public.executions_formdraft ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_formdraft_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_job (
    id bigint NOT NULL,
    kind character varying(32) NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempt integer NOT NULL,
    leased_until timestamp with time zone,
    fence bigint NOT NULL,
    step_id bigint NOT NULL,
    result jsonb,
    CONSTRAINT executions_job_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT executions_job_kind CHECK (((kind)::text = ANY ((ARRAY['timer'::character varying, 'deadline'::character varying, 'mail'::character varying, 'call'::character varying, 'overdue'::character varying])::text[])))
);
ALTER TABLE public.executions_job ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_outgoingdelivery (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    event character varying(64) NOT NULL,
    data jsonb NOT NULL,
    at timestamp with time zone NOT NULL,
    state character varying(32) NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempt integer NOT NULL,
    leased_until timestamp with time zone,
    fence bigint NOT NULL,
    settled_at timestamp with time zone,
    subscription_id bigint NOT NULL,
    CONSTRAINT executions_outgoing_state CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'delivered'::character varying, 'given_up'::character varying])::text[]))),
    CONSTRAINT executions_outgoingdelivery_attempt_check CHECK ((attempt >= 0))
);
ALTER TABLE public.executions_outgoingdelivery ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_outgoingdelivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_peoplechange (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL
);
ALTER TABLE public.executions_peoplechange ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_peoplechange_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_pin (
    id bigint NOT NULL,
    context_key text NOT NULL,
    live boolean NOT NULL,
    held_key text GENERATED ALWAYS AS (
CASE
    WHEN live THEN context_key
    ELSE NULL::text
END) STORED,
    callee_id bigint NOT NULL,
    root_id bigint NOT NULL,
    version_id bigint NOT NULL
);
ALTER TABLE public.executions_pin ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_pin_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_secret (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    name character varying(64) NOT NULL,
    encrypted text NOT NULL,
    times_set integer NOT NULL,
    name_key character varying(64),
    hosts jsonb DEFAULT '[]'::jsonb NOT NULL,
    previous text DEFAULT ''::text NOT NULL,
    previous_until timestamp with time zone,
    CONSTRAINT executions_secret_times_set_check CHECK ((times_set >= 0))
);
ALTER TABLE public.executions_secret ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_secret_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_signingsecret (
    id bigint NOT NULL,
    encrypted text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone,
    subscription_id bigint NOT NULL
);
ALTER TABLE public.executions_signingsecret ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_signingsecret_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_step (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    node_id character varying(128) NOT NULL,
    type character varying(64) NOT NULL,
    label character varying(200) NOT NULL,
    state character varying(32) NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    due_at timestamp with time zone,
    input jsonb,
    output jsonb,
    handle character varying(64) NOT NULL,
    incident jsonb,
    child_id bigint,
    closed_by_id integer,
    execution_id bigint NOT NULL,
    attempt integer NOT NULL,
    draft jsonb,
    overdue boolean NOT NULL,
    notice jsonb,
    assignees text DEFAULT ''::text NOT NULL,
    closed_by_name character varying(254) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT executions_step_state CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'incident'::character varying, 'done'::character varying, 'cancelled'::character varying])::text[])))
);
ALTER TABLE public.executions_step ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_step_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_subscription (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    url character varying(2000) NOT NULL,
    description text NOT NULL,
    events jsonb NOT NULL,
    state character varying(32) NOT NULL,
    given_up_in_a_row integer NOT NULL,
    disabled_because text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    entity_name_type_id bigint,
    workflow_id bigint,
    CONSTRAINT executions_subscription_given_up_in_a_row_check CHECK ((given_up_in_a_row >= 0)),
    CONSTRAINT executions_subscription_state CHECK (((state)::text = ANY ((ARRAY['active'::character varying, 'disabled'::character varying])::text[])))
);
ALTER TABLE public.executions_subscription ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_subscription_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_triggeredstart (
    id bigint NOT NULL,
    trigger character varying(32) NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempt integer NOT NULL,
    asked_by_id integer,
    entity_id bigint NOT NULL,
    workflow_id bigint NOT NULL,
    asked_by_name character varying(254) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT executions_triggeredstart_attempt_check CHECK ((attempt >= 0))
);
ALTER TABLE public.executions_triggeredstart ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_triggeredstart_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.executions_vote (
    id bigint NOT NULL,
    username character varying(150) NOT NULL,
    approves boolean NOT NULL,
    notes text NOT NULL,
    at timestamp with time zone NOT NULL,
    step_id bigint NOT NULL,
    user_id integer
);
ALTER TABLE public.executions_vote ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.executions_vote_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.knox_authtoken (
    digest character varying(128) NOT NULL,
    created timestamp with time zone NOT NULL,
    user_id integer NOT NULL,
    expiry timestamp with time zone,
    token_key character varying(25) NOT NULL
);
CREATE TABLE public.workflows_auditcounter (
    id smallint NOT NULL,
    last bigint NOT NULL
);
CREATE TABLE public.workflows_auditentry (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    who character varying(200) NOT NULL,
    user_id bigint,
    face character varying(32) NOT NULL,
    request_id character varying(64) NOT NULL,
    action character varying(32) NOT NULL,
    kind character varying(32) NOT NULL,
    cuid character varying(25) NOT NULL,
    title character varying(255) NOT NULL,
    refused boolean NOT NULL,
    code character varying(64) NOT NULL,
    detail text NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    why text NOT NULL
);
CREATE TABLE public.workflows_candidate (
    id bigint NOT NULL,
    node_id character varying(128) NOT NULL,
    is_group boolean NOT NULL,
    name text NOT NULL,
    is_unknown boolean NOT NULL,
    needed integer NOT NULL,
    step character varying(25) NOT NULL,
    key text NOT NULL,
    group_id integer,
    user_id integer,
    version_id bigint NOT NULL,
    CONSTRAINT workflows_candidate_needed_check CHECK ((needed >= 0)),
    CONSTRAINT workflows_candidate_one CHECK (((group_id IS NULL) OR (user_id IS NULL)))
);
ALTER TABLE public.workflows_candidate ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_candidate_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_draftstate (
    id bigint NOT NULL,
    number integer NOT NULL,
    source jsonb NOT NULL,
    told text NOT NULL,
    draft_id bigint NOT NULL,
    CONSTRAINT workflows_draftstate_number_check CHECK ((number >= 0))
);
ALTER TABLE public.workflows_draftstate ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_draftstate_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_findingtype (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    name character varying(200) NOT NULL,
    description text NOT NULL,
    name_key character varying(64)
);
ALTER TABLE public.workflows_findingtype ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_findingtype_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_graphdraft (
    id bigint NOT NULL,
    base integer NOT NULL,
    base_cuid character varying(25) NOT NULL,
    at integer NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    user_id integer NOT NULL,
    workflow_id bigint NOT NULL,
    CONSTRAINT workflows_graphdraft_at_check CHECK ((at >= 0)),
    CONSTRAINT workflows_graphdraft_base_check CHECK ((base >= 0))
);
ALTER TABLE public.workflows_graphdraft ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_graphdraft_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_keptanswer (
    id bigint NOT NULL,
    route character varying(255) NOT NULL,
    key character varying(255) NOT NULL,
    item integer NOT NULL,
    asked character varying(64) NOT NULL,
    status smallint NOT NULL,
    headers jsonb NOT NULL,
    body text NOT NULL,
    at timestamp with time zone NOT NULL,
    user_id integer NOT NULL,
    CONSTRAINT workflows_keptanswer_item_check CHECK ((item >= 0)),
    CONSTRAINT workflows_keptanswer_status_check CHECK ((status >= 0))
);
ALTER TABLE public.workflows_keptanswer ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_keptanswer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_pendingchange (
    id bigint NOT NULL,
    entity_name character varying(32) NOT NULL,
    context_key text GENERATED ALWAYS AS ((COALESCE((entity_name)::text, ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE((COALESCE(COALESCE((entity_name_type_id)::text, ''::text), ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE(COALESCE((primary_record_type_id)::text, ''::text), ''::text)), ''::text)), ''::text)), ''::text))) STORED,
    cuid character varying(25) NOT NULL,
    state character varying(32) NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    why text NOT NULL,
    settled_at timestamp with time zone,
    code character varying(64) NOT NULL,
    reason text NOT NULL,
    asked_by_id integer,
    entity_name_type_id bigint,
    primary_record_type_id bigint,
    asked_by_name character varying(254) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT workflows_pendingchange_shape CHECK (((((entity_name)::text = 'Finding'::text) AND (entity_name_type_id IS NOT NULL) AND (primary_record_type_id IS NULL)) OR (((entity_name)::text = 'InventoryModel'::text) AND (entity_name_type_id IS NULL) AND (primary_record_type_id IS NOT NULL)))),
    CONSTRAINT workflows_pendingchange_state CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'applied'::character varying, 'not_applied'::character varying])::text[])))
);
ALTER TABLE public.workflows_pendingchange ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_pendingchange_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_pendingworkflow (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    title character varying(200) NOT NULL,
    waiting boolean NOT NULL,
    change_id bigint NOT NULL,
    workflow_id bigint
);
ALTER TABLE public.workflows_pendingworkflow ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_pendingworkflow_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_recordtype (
    id bigint NOT NULL,
    cuid character varying(25) NOT NULL,
    name character varying(200) NOT NULL,
    description text NOT NULL,
    name_key character varying(64)
);
ALTER TABLE public.workflows_recordtype ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_recordtype_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_reference (
    id bigint NOT NULL,
    node_id character varying(128) NOT NULL,
    context_key text NOT NULL,
    in_force boolean NOT NULL,
    held_key text GENERATED ALWAYS AS (
CASE
    WHEN in_force THEN context_key
    ELSE NULL::text
END) STORED,
    version_id bigint NOT NULL,
    callee_id bigint NOT NULL
);
ALTER TABLE public.workflows_reference ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_reference_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_savedfilter (
    id bigint NOT NULL,
    list character varying(100) NOT NULL,
    name character varying(100) NOT NULL,
    query text NOT NULL,
    shared boolean NOT NULL,
    user_id integer NOT NULL,
    name_key character varying(64)
);
ALTER TABLE public.workflows_savedfilter ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_savedfilter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_unsealed (
    id bigint NOT NULL,
    table_name character varying(63) NOT NULL,
    row_id bigint NOT NULL,
    why text NOT NULL,
    since timestamp with time zone NOT NULL
);
ALTER TABLE public.workflows_unsealed ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_unsealed_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_version (
    id bigint NOT NULL,
    entity_name character varying(32) NOT NULL,
    context_key text GENERATED ALWAYS AS ((COALESCE((entity_name)::text, ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE((COALESCE(COALESCE((entity_name_type_id)::text, ''::text), ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE(COALESCE((primary_record_type_id)::text, ''::text), ''::text)), ''::text)), ''::text)), ''::text))) STORED,
    cuid character varying(25) NOT NULL,
    number integer NOT NULL,
    source jsonb NOT NULL,
    checksum character varying(64) NOT NULL,
    in_force boolean NOT NULL,
    held_key text GENERATED ALWAYS AS (
CASE
    WHEN in_force THEN (COALESCE((entity_name)::text, ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE((COALESCE(COALESCE((entity_name_type_id)::text, ''::text), ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE(COALESCE((primary_record_type_id)::text, ''::text), ''::text)), ''::text)), ''::text)), ''::text))
    ELSE NULL::text
END) STORED,
    notes text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by_id integer,
    entity_name_type_id bigint,
    primary_record_type_id bigint,
    workflow_id bigint NOT NULL,
    created_by_name character varying(254) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT workflows_version_number_check CHECK ((number >= 0)),
    CONSTRAINT workflows_version_shape CHECK (((((entity_name)::text = 'Finding'::text) AND (entity_name_type_id IS NOT NULL) AND (primary_record_type_id IS NULL)) OR (((entity_name)::text = 'InventoryModel'::text) AND (entity_name_type_id IS NULL) AND (primary_record_type_id IS NOT NULL))))
);
ALTER TABLE public.workflows_version ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_version_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.workflows_workflow (
    id bigint NOT NULL,
    entity_name character varying(32) NOT NULL,
    context_key text GENERATED ALWAYS AS ((COALESCE((entity_name)::text, ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE((COALESCE(COALESCE((entity_name_type_id)::text, ''::text), ''::text) || COALESCE((COALESCE(':'::text, ''::text) || COALESCE(COALESCE((primary_record_type_id)::text, ''::text), ''::text)), ''::text)), ''::text)), ''::text))) STORED,
    cuid character varying(25) NOT NULL,
    title character varying(200) NOT NULL,
    description text NOT NULL,
    trigger character varying(32) NOT NULL,
    trigger_data jsonb NOT NULL,
    state character varying(32) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    entity_name_type_id bigint,
    primary_record_type_id bigint,
    CONSTRAINT workflows_workflow_shape CHECK (((((entity_name)::text = 'Finding'::text) AND (entity_name_type_id IS NOT NULL) AND (primary_record_type_id IS NULL)) OR (((entity_name)::text = 'InventoryModel'::text) AND (entity_name_type_id IS NULL) AND (primary_record_type_id IS NOT NULL)))),
    CONSTRAINT workflows_workflow_state CHECK (((state)::text = ANY ((ARRAY['draft'::character varying, 'active'::character varying, 'retired'::character varying])::text[]))),
    CONSTRAINT workflows_workflow_trigger CHECK (((trigger)::text = ANY ((ARRAY['manual'::character varying, 'created'::character varying, 'changed'::character varying, 'webhook'::character varying])::text[])))
);
ALTER TABLE public.workflows_workflow ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.workflows_workflow_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO public.auth_group VALUES
	(1, 'viewer'),
	(2, 'participant'),
	(3, 'designer'),
	(4, 'operator'),
	(5, 'administrator'),
	(6, 'Reviewers');
INSERT INTO public.auth_group_permissions VALUES
	(1, 1, 32),
	(2, 1, 96),
	(3, 1, 36),
	(4, 1, 100),
	(5, 1, 41),
	(6, 1, 45),
	(7, 1, 79),
	(8, 1, 112),
	(9, 1, 83),
	(10, 1, 116),
	(11, 1, 53),
	(12, 1, 24),
	(13, 1, 91),
	(14, 1, 28),
	(15, 2, 32),
	(16, 2, 96),
	(17, 2, 36),
	(18, 2, 100),
	(19, 2, 37),
	(20, 2, 41),
	(21, 2, 45),
	(22, 2, 79),
	(23, 2, 112),
	(24, 2, 83),
	(25, 2, 116),
	(26, 2, 53),
	(27, 2, 24),
	(28, 2, 91),
	(29, 2, 28),
	(30, 3, 24),
	(31, 3, 28),
	(32, 3, 32),
	(33, 3, 36),
	(34, 3, 41),
	(35, 3, 45),
	(36, 3, 53),
	(37, 3, 76),
	(38, 3, 77),
	(39, 3, 78),
	(40, 3, 79),
	(41, 3, 80),
	(42, 3, 81),
	(43, 3, 82),
	(44, 3, 83),
	(45, 3, 88),
	(46, 3, 89),
	(47, 3, 90),
	(48, 3, 91),
	(49, 3, 93),
	(50, 3, 96),
	(51, 3, 100),
	(52, 3, 112),
	(53, 3, 116),
	(54, 4, 24),
	(55, 4, 25),
	(56, 4, 26),
	(57, 4, 27),
	(58, 4, 28),
	(59, 4, 29),
	(60, 4, 30),
	(61, 4, 31),
	(62, 4, 32),
	(63, 4, 33),
	(64, 4, 34),
	(65, 4, 36),
	(66, 4, 41),
	(67, 4, 45),
	(68, 4, 53),
	(69, 4, 79),
	(70, 4, 83),
	(71, 4, 91),
	(72, 4, 92),
	(73, 4, 96),
	(74, 4, 100),
	(75, 4, 112),
	(76, 4, 116),
	(77, 5, 4),
	(78, 5, 9),
	(79, 5, 10),
	(80, 5, 11),
	(81, 5, 12),
	(82, 5, 13),
	(83, 5, 14),
	(84, 5, 15),
	(85, 5, 16),
	(86, 5, 24),
	(87, 5, 25),
	(88, 5, 26),
	(89, 5, 27),
	(90, 5, 28),
	(91, 5, 29),
	(92, 5, 30),
	(93, 5, 31),
	(94, 5, 32),
	(95, 5, 33),
	(96, 5, 34),
	(97, 5, 36),
	(98, 5, 37),
	(99, 5, 41),
	(100, 5, 45),
	(101, 5, 53),
	(102, 5, 54),
	(103, 5, 55),
	(104, 5, 56),
	(105, 5, 57),
	(106, 5, 74),
	(107, 5, 75),
	(108, 5, 76),
	(109, 5, 77),
	(110, 5, 78),
	(111, 5, 79),
	(112, 5, 80),
	(113, 5, 81),
	(114, 5, 82),
	(115, 5, 83),
	(116, 5, 88),
	(117, 5, 89),
	(118, 5, 90),
	(119, 5, 91),
	(120, 5, 92),
	(121, 5, 93),
	(122, 5, 96),
	(123, 5, 100),
	(124, 5, 108),
	(125, 5, 112),
	(126, 5, 116),
	(127, 4, 66),
	(128, 4, 67),
	(129, 4, 71),
	(130, 5, 66),
	(131, 5, 67),
	(132, 5, 68),
	(133, 5, 69),
	(134, 5, 70),
	(135, 5, 71),
	(136, 5, 121);
INSERT INTO public.auth_permission VALUES
	(1, 'Can add log entry', 1, 'add_logentry'),
	(2, 'Can change log entry', 1, 'change_logentry'),
	(3, 'Can delete log entry', 1, 'delete_logentry'),
	(4, 'Can view log entry', 1, 'view_logentry'),
	(5, 'Can add permission', 2, 'add_permission'),
	(6, 'Can change permission', 2, 'change_permission'),
	(7, 'Can delete permission', 2, 'delete_permission'),
	(8, 'Can view permission', 2, 'view_permission'),
	(9, 'Can add group', 3, 'add_group'),
	(10, 'Can change group', 3, 'change_group'),
	(11, 'Can delete group', 3, 'delete_group'),
	(12, 'Can view group', 3, 'view_group'),
	(13, 'Can add user', 4, 'add_user'),
	(14, 'Can change user', 4, 'change_user'),
	(15, 'Can delete user', 4, 'delete_user'),
	(16, 'Can view user', 4, 'view_user'),
	(17, 'Can add content type', 5, 'add_contenttype'),
	(18, 'Can change content type', 5, 'change_contenttype'),
	(19, 'Can delete content type', 5, 'delete_contenttype'),
	(20, 'Can view content type', 5, 'view_contenttype'),
	(21, 'Can add entity', 6, 'add_entity'),
	(22, 'Can change entity', 6, 'change_entity'),
	(23, 'Can delete entity', 6, 'delete_entity'),
	(24, 'Can view entity', 6, 'view_entity'),
	(25, 'Can add finding', 7, 'add_finding'),
	(26, 'Can change finding', 7, 'change_finding'),
	(27, 'Can delete finding', 7, 'delete_finding'),
	(28, 'Can view finding', 7, 'view_finding'),
	(29, 'Can add inventory model', 8, 'add_inventorymodel'),
	(30, 'Can change inventory model', 8, 'change_inventorymodel'),
	(31, 'Can delete inventory model', 8, 'delete_inventorymodel'),
	(32, 'Can view inventory model', 8, 'view_inventorymodel'),
	(33, 'Can add execution', 9, 'add_execution'),
	(34, 'Can change execution', 9, 'change_execution'),
	(35, 'Can delete execution', 9, 'delete_execution'),
	(36, 'Can view execution', 9, 'view_execution'),
	(37, 'Can fill in forms and vote', 9, 'submit_execution'),
	(38, 'Can add pin', 10, 'add_pin'),
	(39, 'Can change pin', 10, 'change_pin'),
	(40, 'Can delete pin', 10, 'delete_pin'),
	(41, 'Can view pin', 10, 'view_pin'),
	(42, 'Can add step', 11, 'add_step'),
	(43, 'Can change step', 11, 'change_step'),
	(44, 'Can delete step', 11, 'delete_step'),
	(45, 'Can view step', 11, 'view_step'),
	(46, 'Can add job', 12, 'add_job'),
	(47, 'Can change job', 12, 'change_job'),
	(48, 'Can delete job', 12, 'delete_job'),
	(49, 'Can view job', 12, 'view_job'),
	(50, 'Can add vote', 13, 'add_vote'),
	(51, 'Can change vote', 13, 'change_vote'),
	(52, 'Can delete vote', 13, 'delete_vote'),
	(53, 'Can view vote', 13, 'view_vote'),
	(54, 'Can add secret', 14, 'add_secret'),
	(55, 'Can change secret', 14, 'change_secret'),
	(56, 'Can delete secret', 14, 'delete_secret'),
	(57, 'Can view secret', 14, 'view_secret'),
	(58, 'Can add triggered start', 15, 'add_triggeredstart'),
	(59, 'Can change triggered start', 15, 'change_triggeredstart'),
	(60, 'Can delete triggered start', 15, 'delete_triggeredstart'),
	(61, 'Can view triggered start', 15, 'view_triggeredstart'),
	(62, 'Can add delivery', 16, 'add_delivery'),
	(63, 'Can change delivery', 16, 'change_delivery'),
	(64, 'Can delete delivery', 16, 'delete_delivery'),
	(65, 'Can view delivery', 16, 'view_delivery'),
	(66, 'Can view webhook delivery', 17, 'view_outgoingdelivery'),
	(67, 'Can deliver events again', 17, 'redeliver_outgoingdelivery'),
	(68, 'Can add webhook', 19, 'add_subscription'),
	(69, 'Can change webhook', 19, 'change_subscription'),
	(70, 'Can delete webhook', 19, 'delete_subscription'),
	(71, 'Can view webhook', 19, 'view_subscription'),
	(72, 'Can add auth token', 25, 'add_authtoken'),
	(73, 'Can change auth token', 25, 'change_authtoken'),
	(74, 'Can delete auth token', 25, 'delete_authtoken'),
	(75, 'Can view auth token', 25, 'view_authtoken'),
	(76, 'Can add finding type', 26, 'add_findingtype'),
	(77, 'Can change finding type', 26, 'change_findingtype'),
	(78, 'Can delete finding type', 26, 'delete_findingtype'),
	(79, 'Can view finding type', 26, 'view_findingtype'),
	(80, 'Can add record type', 27, 'add_recordtype'),
	(81, 'Can change record type', 27, 'change_recordtype'),
	(82, 'Can delete record type', 27, 'delete_recordtype'),
	(83, 'Can view record type', 27, 'view_recordtype'),
	(84, 'Can add unsealed', 28, 'add_unsealed'),
	(85, 'Can change unsealed', 28, 'change_unsealed'),
	(86, 'Can delete unsealed', 28, 'delete_unsealed'),
	(87, 'Can view unsealed', 28, 'view_unsealed'),
	(88, 'Can add workflow', 29, 'add_workflow'),
	(89, 'Can change workflow', 29, 'change_workflow'),
	(90, 'Can delete workflow', 29, 'delete_workflow'),
	(91, 'Can view workflow', 29, 'view_workflow'),
	(92, 'Can change the finding type of workflows, now or on hold', 29, 'change_entity_context'),
	(93, 'Can add version', 30, 'add_version'),
	(94, 'Can change version', 30, 'change_version'),
	(95, 'Can delete version', 30, 'delete_version'),
	(96, 'Can view version', 30, 'view_version'),
	(97, 'Can add reference', 31, 'add_reference'),
	(98, 'Can change reference', 31, 'change_reference'),
	(99, 'Can delete reference', 31, 'delete_reference'),
	(100, 'Can view reference', 31, 'view_reference'),
	(101, 'Can add audit counter', 32, 'add_auditcounter'),
	(102, 'Can change audit counter', 32, 'change_auditcounter'),
	(103, 'Can delete audit counter', 32, 'delete_auditcounter'),
	(104, 'Can view audit counter', 32, 'view_auditcounter'),
	(105, 'Can add audit entry', 33, 'add_auditentry'),
	(106, 'Can change audit entry', 33, 'change_auditentry'),
	(107, 'Can delete audit entry', 33, 'delete_auditentry'),
	(108, 'Can view audit entry', 33, 'view_auditentry'),
	(109, 'Can add pending change', 34, 'add_pendingchange'),
	(110, 'Can change pending change', 34, 'change_pendingchange'),
	(111, 'Can delete pending change', 34, 'delete_pendingchange'),
	(112, 'Can view pending change', 34, 'view_pendingchange'),
	(113, 'Can add pending workflow', 35, 'add_pendingworkflow'),
	(114, 'Can change pending workflow', 35, 'change_pendingworkflow'),
	(115, 'Can delete pending workflow', 35, 'delete_pendingworkflow'),
	(116, 'Can view pending workflow', 35, 'view_pendingworkflow'),
	(117, 'Can add kept answer', 36, 'add_keptanswer'),
	(118, 'Can change kept answer', 36, 'change_keptanswer'),
	(119, 'Can delete kept answer', 36, 'delete_keptanswer'),
	(120, 'Can view kept answer', 36, 'view_keptanswer'),
	(121, 'Can share filters with everyone', 37, 'share_savedfilter'),
	(122, 'Can add session', 41, 'add_session'),
	(123, 'Can change session', 41, 'change_session'),
	(124, 'Can delete session', 41, 'delete_session'),
	(125, 'Can view session', 41, 'view_session');
INSERT INTO public.auth_user VALUES
	(1, 'pbkdf2_sha256$1000000$WvB4SGThyytZpi8ITKayDE$nDK7HsQ83p1Hah2m7lRpDWwieLflyqPFkNFlkrGhaO8=', NULL, false, 'ada', '', '', '', false, true, '2026-11-30 00:11:17.091225+00'),
	(2, 'pbkdf2_sha256$1000000$QNwCabCeO2kEP9XPX77AtU$ovl9kG+6LLpK853X0wYGZbwTsFEAKuD9GLp1Dgt5tR0=', NULL, false, 'bob', '', '', '', false, true, '2026-11-30 00:11:33.889952+00');
INSERT INTO public.auth_user_groups VALUES
	(1, 1, 6),
	(2, 2, 6);
INSERT INTO public.django_content_type VALUES
	(1, 'admin', 'logentry'),
	(2, 'auth', 'permission'),
	(3, 'auth', 'group'),
	(4, 'auth', 'user'),
	(5, 'contenttypes', 'contenttype'),
	(6, 'executions', 'entity'),
	(7, 'executions', 'finding'),
	(8, 'executions', 'inventorymodel'),
	(9, 'executions', 'execution'),
	(10, 'executions', 'pin'),
	(11, 'executions', 'step'),
	(12, 'executions', 'job'),
	(13, 'executions', 'vote'),
	(14, 'executions', 'secret'),
	(15, 'executions', 'triggeredstart'),
	(16, 'executions', 'delivery'),
	(17, 'executions', 'outgoingdelivery'),
	(18, 'executions', 'deliveryattempt'),
	(19, 'executions', 'subscription'),
	(20, 'executions', 'signingsecret'),
	(21, 'executions', 'bulkoperation'),
	(22, 'executions', 'bulkitem'),
	(23, 'executions', 'formdraft'),
	(24, 'executions', 'peoplechange'),
	(25, 'knox', 'authtoken'),
	(26, 'workflows', 'findingtype'),
	(27, 'workflows', 'recordtype'),
	(28, 'workflows', 'unsealed'),
	(29, 'workflows', 'workflow'),
	(30, 'workflows', 'version'),
	(31, 'workflows', 'reference'),
	(32, 'workflows', 'auditcounter'),
	(33, 'workflows', 'auditentry'),
	(34, 'workflows', 'pendingchange'),
	(35, 'workflows', 'pendingworkflow'),
	(36, 'workflows', 'keptanswer'),
	(37, 'workflows', 'savedfilter'),
	(38, 'workflows', 'graphdraft'),
	(39, 'workflows', 'draftstate'),
	(40, 'workflows', 'candidate'),
	(41, 'sessions', 'session');
INSERT INTO public.django_migrations VALUES
	(1, 'contenttypes', '0001_initial', '2026-11-30 00:08:44.523245+00'),
	(2, 'auth', '0001_initial', '2026-11-30 00:08:45.690506+00'),
	(3, 'admin', '0001_initial', '2026-11-30 00:08:46.200336+00'),
	(4, 'admin', '0002_logentry_remove_auto_add', '2026-11-30 00:08:46.392118+00'),
	(5, 'admin', '0003_logentry_add_action_flag_choices', '2026-11-30 00:08:46.708989+00'),
	(6, 'contenttypes', '0002_remove_content_type_name', '2026-11-30 00:08:47.315115+00'),
	(7, 'auth', '0002_alter_permission_name_max_length', '2026-11-30 00:08:47.559639+00'),
	(8, 'auth', '0003_alter_user_email_max_length', '2026-11-30 00:08:47.951635+00'),
	(9, 'auth', '0004_alter_user_username_opts', '2026-11-30 00:08:48.243265+00'),
	(10, 'auth', '0005_alter_user_last_login_null', '2026-11-30 00:08:48.52367+00'),
	(11, 'auth', '0006_require_contenttypes_0002', '2026-11-30 00:08:48.551143+00'),
	(12, 'auth', '0007_alter_validators_add_error_messages', '2026-11-30 00:08:48.713978+00'),
	(13, 'auth', '0008_alter_user_username_max_length', '2026-11-30 00:08:49.135151+00'),
	(14, 'auth', '0009_alter_user_last_name_max_length', '2026-11-30 00:08:49.415681+00'),
	(15, 'auth', '0010_alter_group_name_max_length', '2026-11-30 00:08:49.655167+00'),
	(16, 'auth', '0011_update_proxy_permissions', '2026-11-30 00:08:49.786674+00'),
	(17, 'auth', '0012_alter_user_first_name_max_length', '2026-11-30 00:08:50.156375+00'),
	(18, 'workflows', '0001_initial', '2026-11-30 00:08:56.106799+00'),
	(19, 'workflows', '0002_audit_and_pending_changes', '2026-11-30 00:08:59.251203+00'),
	(20, 'workflows', '0003_triggers', '2026-11-30 00:09:00.943238+00'),
	(21, 'workflows', '0004_kept_answers', '2026-11-30 00:09:01.635093+00'),
	(22, 'workflows', '0005_who_changes_contexts', '2026-11-30 00:09:01.856547+00'),
	(23, 'workflows', '0006_saved_filters', '2026-11-30 00:09:02.427205+00'),
	(24, 'workflows', '0007_graph_drafts', '2026-11-30 00:09:04.45189+00'),
	(25, 'workflows', '0008_names_alike', '2026-11-30 00:09:06.703111+00'),
	(26, 'workflows', '0009_candidates', '2026-11-30 00:09:08.575354+00'),
	(27, 'executions', '0001_initial', '2026-11-30 00:09:27.135148+00'),
	(28, 'executions', '0002_live_by_workflow_and_id', '2026-11-30 00:09:28.415141+00'),
	(29, 'executions', '0003_jobs_votes_and_stages', '2026-11-30 00:09:36.064838+00'),
	(30, 'executions', '0004_mail_calls_and_secrets', '2026-11-30 00:09:36.611519+00'),
	(31, 'executions', '0005_execution_updated_at', '2026-11-30 00:09:37.468747+00'),
	(32, 'executions', '0006_triggers', '2026-11-30 00:09:38.775173+00'),
	(33, 'executions', '0007_fewer_indexes', '2026-11-30 00:09:40.271361+00'),
	(34, 'executions', '0008_overdue_notices', '2026-11-30 00:09:40.389163+00'),
	(35, 'executions', '0009_who_submits', '2026-11-30 00:09:40.422022+00'),
	(36, 'executions', '0010_lists', '2026-11-30 00:09:45.044779+00'),
	(37, 'executions', '0011_webhooks', '2026-11-30 00:09:49.359321+00'),
	(38, 'executions', '0012_bulk_operations', '2026-11-30 00:09:55.703289+00'),
	(39, 'executions', '0013_step_assignees', '2026-11-30 00:09:57.363126+00'),
	(40, 'executions', '0014_who_is_asked', '2026-11-30 00:09:58.611178+00'),
	(41, 'executions', '0015_fewer_keys_and_indexes', '2026-11-30 00:10:10.39141+00'),
	(42, 'executions', '0016_names_alike', '2026-11-30 00:10:10.963551+00'),
	(43, 'executions', '0017_form_drafts', '2026-11-30 00:10:11.402121+00'),
	(44, 'executions', '0018_drafts_of_their_authors', '2026-11-30 00:10:12.191901+00'),
	(45, 'executions', '0019_people', '2026-11-30 00:10:17.514871+00'),
	(46, 'executions', '0020_candidates_of_versions', '2026-11-30 00:10:18.111346+00'),
	(47, 'executions', '0021_secret_hosts_and_previous_values', '2026-11-30 00:10:18.225466+00'),
	(48, 'executions', '0022_remembered_deliveries', '2026-11-30 00:10:21.505968+00'),
	(49, 'executions', '0023_job_result', '2026-11-30 00:10:21.858693+00'),
	(50, 'knox', '0001_initial', '2026-11-30 00:10:23.347078+00'),
	(51, 'knox', '0002_auto_20150916_1425', '2026-11-30 00:10:24.700996+00'),
	(52, 'knox', '0003_auto_20150916_1526', '2026-11-30 00:10:25.580018+00'),
	(53, 'knox', '0004_authtoken_expires', '2026-11-30 00:10:26.236252+00'),
	(54, 'knox', '0005_authtoken_token_key', '2026-11-30 00:10:26.575252+00'),
	(55, 'knox', '0006_auto_20160818_0932', '2026-11-30 00:10:27.540063+00'),
	(56, 'knox', '0007_auto_20190111_0542', '2026-11-30 00:10:27.895474+00'),
	(57, 'knox', '0008_remove_authtoken_salt', '2026-11-30 00:10:28.415711+00'),
	(58, 'knox', '0009_extend_authtoken_field', '2026-11-30 00:10:28.87671+00'),
	(59, 'holdfast', '0001_roles', '2026-11-30 00:10:30.275994+00'),
	(60, 'holdfast', '0002_webhooks', '2026-11-30 00:10:36.115771+00'),
	(61, 'holdfast', '0003_saved_filters', '2026-11-30 00:10:39.087199+00'),
	(62, 'sessions', '0001_initial', '2026-11-30 00:10:39.293391+00'),
	(63, 'workflows', '0010_actions_in_the_audit_log', '2026-11-30 00:10:39.455379+00');
INSERT INTO public.executions_entity VALUES
	(1, 'Finding', DEFAULT, 'cmx2ijc570i3wm5dnw4r61id2', 'Finding 0', '{}', '2026-11-30 00:11:34.843453+00', '2026-11-30 00:11:34.84347+00', 1, NULL, NULL),
	(2, 'Finding', DEFAULT, 'cmx2ijd4tzz21ggocjfkrnft5', 'Finding 1', '{}', '2026-11-30 00:11:36.125676+00', '2026-11-30 00:11:36.125693+00', 1, NULL, NULL),
	(3, 'Finding', DEFAULT, 'cmx2ije0x81aoeaiv983nsdoz', 'Finding 2', '{}', '2026-11-30 00:11:37.284857+00', '2026-11-30 00:11:37.284873+00', 1, NULL, NULL),
	(4, 'Finding', DEFAULT, 'cmx2ijf6zy78vh1w5h5kx7k0f', 'Finding 3', '{}', '2026-11-30 00:11:38.795405+00', '2026-11-30 00:11:38.795436+00', 1, NULL, NULL),
	(5, 'Finding', DEFAULT, 'cmx2ijg9x6q466djkczzpec3n', 'Finding 4', '{}', '2026-11-30 00:11:40.198071+00', '2026-11-30 00:11:40.198085+00', 1, NULL, NULL),
	(6, 'Finding', DEFAULT, 'cmx2ijh24fareowdslsj1agr7', 'Finding 5', '{}', '2026-11-30 00:11:41.212917+00', '2026-11-30 00:11:41.212932+00', 1, NULL, NULL),
	(7, 'Finding', DEFAULT, 'cmx2ijhq4u1b5i51q2r8ezbcn', 'Finding 6', '{"note": "a"}', '2026-11-30 00:11:42.076591+00', '2026-11-30 00:11:42.397241+00', 1, NULL, NULL),
	(8, 'Finding', DEFAULT, 'cmx2ijia7o2184i0oetnlehey', 'Finding 7', '{}', '2026-11-30 00:11:42.799779+00', '2026-11-30 00:11:42.799795+00', 1, NULL, NULL),
	(9, 'Finding', DEFAULT, 'cmx2ijizutgx1jx9x211ebo50', 'Finding 8', '{"due": "soon"}', '2026-11-30 00:11:43.735237+00', '2026-11-30 00:11:43.735264+00', 1, NULL, NULL),
	(10, 'Finding', DEFAULT, 'cmx2ijjtz7d4bojdwwg23uemc', 'Finding 9', '{}', '2026-11-30 00:11:44.807911+00', '2026-11-30 00:11:44.807928+00', 1, NULL, NULL),
	(11, 'Finding', DEFAULT, 'cmx2ijk8r5040tgydw14doeqc', 'Finding 10', '{}', '2026-11-30 00:11:45.340337+00', '2026-11-30 00:11:45.340352+00', 1, NULL, NULL),
	(12, 'Finding', DEFAULT, 'cmx2ijkwbi82w22jje9x4ju65', 'Finding 11', '{"note": "n"}', '2026-11-30 00:11:46.188284+00', '2026-11-30 00:11:46.86107+00', 1, NULL, NULL);
INSERT INTO public.executions_execution VALUES
	(1, 'cmx2ijcgede2vlz637tafd524', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:35.216504+00', NULL, 1, NULL, NULL, NULL, 2, 1, NULL, NULL, '', '2026-11-30 00:11:35.216504+00', ''),
	(33, 'cmx2ijddg2l2ax254s1ayz758', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:36.402237+00', NULL, 2, NULL, NULL, NULL, 4, 2, NULL, NULL, '', '2026-11-30 00:11:36.402237+00', ''),
	(65, 'cmx2ije8jphijj046y9j48ubg', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:37.5314+00', NULL, 3, NULL, NULL, NULL, 6, 3, NULL, NULL, '', '2026-11-30 00:11:37.657128+00', ''),
	(97, 'cmx2ijfhyjbtovy3jobj25bmd', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:39.18511+00', NULL, 4, NULL, NULL, NULL, 8, 4, NULL, NULL, '', '2026-11-30 00:11:39.18511+00', ''),
	(129, 'cmx2ijgkjpx9j3r0q3gtwuele', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:40.571734+00', NULL, 5, NULL, NULL, NULL, 10, 5, NULL, NULL, '', '2026-11-30 00:11:40.571734+00', ''),
	(161, 'cmx2ijhdfzr2lydrvj1pru744', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:41.598783+00', NULL, 6, NULL, NULL, NULL, 12, 6, NULL, NULL, '', '2026-11-30 00:11:41.598783+00', ''),
	(162, 'cmx2ijhdrfzwsun40lqyt15cm', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:41.598783+00', NULL, 6, 161, 161, NULL, 10, 5, NULL, NULL, '', '2026-11-30 00:11:41.598783+00', ''),
	(163, 'cmx2ijhxqfu3q8kqzn9w4kicp', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:42.350518+00', NULL, 7, NULL, NULL, NULL, 14, 7, NULL, NULL, '', '2026-11-30 00:11:42.397241+00', ''),
	(193, 'cmx2ijijhb6tou8ikedvqvg7t', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:43.105733+00', NULL, 8, NULL, NULL, NULL, 16, 8, NULL, NULL, '', '2026-11-30 00:11:43.105733+00', ''),
	(194, 'cmx2ijj84t3gw88opsjekxffy', 'waiting', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:44.020135+00', NULL, 9, NULL, NULL, NULL, 18, 9, NULL, NULL, '', '2026-11-30 00:11:44.020135+00', ''),
	(225, 'cmx2ijk37us02ndaozfj3xd06', 'cancelled', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:45.132554+00', '2026-11-30 00:11:45.210583+00', 10, NULL, NULL, NULL, 20, 10, NULL, NULL, '', '2026-11-30 00:11:45.210583+00', ''),
	(226, 'cmx2ijkau6kmd0a9ugjm09gb9', 'scheduled', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:45.414917+00', NULL, 11, NULL, NULL, NULL, 20, 10, NULL, '2026-12-30 00:11:45.414766+00', '', '2026-11-30 00:11:45.414917+00', ''),
	(257, 'cmx2ijlbj1hnxcl2bqddsc17i', 'completed', 'Finding:1:', DEFAULT, DEFAULT, '', '2026-11-30 00:11:46.707228+00', '2026-11-30 00:11:46.86107+00', 12, NULL, NULL, NULL, 22, 11, NULL, NULL, '', '2026-11-30 00:11:46.86107+00', '');
INSERT INTO public.executions_job VALUES
	(1, 'deadline', '2026-12-30 00:11:36.402237+00', 0, NULL, 0, 4, NULL),
	(2, 'timer', '2026-12-30 00:11:39.18511+00', 0, NULL, 0, 8, NULL),
	(3, 'call', '2026-11-30 00:11:43.105733+00', 0, NULL, 0, 21, NULL),
	(4, 'timer', '2026-12-30 00:11:45.414766+00', 0, NULL, 0, 26, NULL);
INSERT INTO public.executions_peoplechange VALUES
	(1, '2026-11-30 00:11:33.93796+00'),
	(2, '2026-11-30 00:11:33.93796+00');
INSERT INTO public.executions_pin VALUES
	(1, 'Finding:1:', true, DEFAULT, 5, 161, 10);
INSERT INTO public.executions_step VALUES
	(1, 'cmx2ijcheervz8nr6zswg1ghp', 'start', 'start', 'start', 'done', '2026-11-30 00:11:35.216504+00', '2026-11-30 00:11:35.216504+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 1, 1, NULL, false, NULL, '', ''),
	(2, 'cmx2ijchjoxbso667rfpzceca', 'form', 'user_action', 'form', 'open', '2026-11-30 00:11:35.216504+00', NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, 1, 1, NULL, false, NULL, '{"node":"form","version":2}', ''),
	(3, 'cmx2ijdecpnx2reiwzuip52o7', 'start', 'start', 'start', 'done', '2026-11-30 00:11:36.402237+00', '2026-11-30 00:11:36.402237+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 33, 1, NULL, false, NULL, '', ''),
	(4, 'cmx2ijdec6w3pfbk5e7z8coxs', 'form', 'user_action', 'form', 'open', '2026-11-30 00:11:36.402237+00', NULL, '2026-12-30 00:11:36.402237+00', NULL, NULL, '', NULL, NULL, NULL, 33, 1, NULL, false, NULL, '{"node":"form","version":4}', ''),
	(5, 'cmx2ije94lv98tjz3dku9djvc', 'start', 'start', 'start', 'done', '2026-11-30 00:11:37.5314+00', '2026-11-30 00:11:37.5314+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 65, 1, NULL, false, NULL, '', ''),
	(6, 'cmx2ije94arpc1ppuaoq6gg2s', 'vote', 'approval', 'vote', 'open', '2026-11-30 00:11:37.5314+00', NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, 65, 1, NULL, false, NULL, '{"node":"vote","version":6}', ''),
	(7, 'cmx2ijfidrbciaz8qe4o4k9dn', 'start', 'start', 'start', 'done', '2026-11-30 00:11:39.18511+00', '2026-11-30 00:11:39.18511+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 97, 1, NULL, false, NULL, '', ''),
	(8, 'cmx2ijfid5x6h7qxboor0gjuc', 'sleep', 'wait', 'sleep', 'open', '2026-11-30 00:11:39.18511+00', NULL, '2026-12-30 00:11:39.18511+00', NULL, NULL, '', NULL, NULL, NULL, 97, 1, NULL, false, NULL, '', ''),
	(9, 'cmx2ijgkmd8cs7kyr0ir8zatw', 'start', 'start', 'start', 'done', '2026-11-30 00:11:40.571734+00', '2026-11-30 00:11:40.571734+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 129, 1, NULL, false, NULL, '', ''),
	(10, 'cmx2ijgkmoh9zpxeg0yob8vrk', 'form', 'user_action', 'form', 'open', '2026-11-30 00:11:40.571734+00', NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, 129, 1, NULL, false, NULL, '{"node":"form","version":10}', ''),
	(11, 'cmx2ijhdrxso2n2lw0f7dbkxm', 'start', 'start', 'start', 'done', '2026-11-30 00:11:41.598783+00', '2026-11-30 00:11:41.598783+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 161, 1, NULL, false, NULL, '', ''),
	(12, 'cmx2ijhdrunt5v7hal9865myp', 'call', 'run_workflow', 'call', 'open', '2026-11-30 00:11:41.598783+00', NULL, NULL, NULL, NULL, '', NULL, 162, NULL, 161, 1, NULL, false, NULL, '', ''),
	(13, 'cmx2ijhdrcj5t8r9g8n15go1p', 'start', 'start', 'start', 'done', '2026-11-30 00:11:41.598783+00', '2026-11-30 00:11:41.598783+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 162, 1, NULL, false, NULL, '', ''),
	(14, 'cmx2ijhdre6hpoyurthf2nlff', 'form', 'user_action', 'form', 'open', '2026-11-30 00:11:41.598783+00', NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, 162, 1, NULL, false, NULL, '{"node":"form","version":10}', ''),
	(15, 'cmx2ijhym7xua74fzc32ofi46', 'start', 'start', 'start', 'done', '2026-11-30 00:11:42.350518+00', '2026-11-30 00:11:42.350518+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 163, 1, NULL, false, NULL, '', ''),
	(16, 'cmx2ijhym47nzhgbzvqnkoyng', 'fork', 'parallel', 'fork', 'done', '2026-11-30 00:11:42.350518+00', '2026-11-30 00:11:42.350518+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 163, 1, NULL, false, NULL, '', ''),
	(18, 'cmx2ijhymxr37vsz1618u36ul', 'b', 'user_action', 'b', 'open', '2026-11-30 00:11:42.350518+00', NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, 163, 1, NULL, false, NULL, '', ''),
	(17, 'cmx2ijhymim82sq1j8zvmveuq', 'a', 'user_action', 'a', 'done', '2026-11-30 00:11:42.350518+00', '2026-11-30 00:11:42.397241+00', NULL, '{"note": "a"}', '{"note": "a"}', '', NULL, NULL, NULL, 163, 1, NULL, false, NULL, '', ''),
	(19, 'cmx2ijhz1dbedk5a1uf61gns5', 'join', 'join', 'join', 'open', '2026-11-30 00:11:42.397241+00', NULL, NULL, '{"arrived": ["a"]}', NULL, '', NULL, NULL, NULL, 163, 1, NULL, false, NULL, '', ''),
	(20, 'cmx2ijijvt7j42m66wrm67cgz', 'start', 'start', 'start', 'done', '2026-11-30 00:11:43.105733+00', '2026-11-30 00:11:43.105733+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 193, 1, NULL, false, NULL, '', ''),
	(21, 'cmx2ijijvmajqlh4aiuxqnlhi', 'call', 'http_request', 'call', 'open', '2026-11-30 00:11:43.105733+00', NULL, '2026-11-30 00:11:43.105733+00', '{"fields": {}}', NULL, '', NULL, NULL, NULL, 193, 1, NULL, false, NULL, '', ''),
	(22, 'cmx2ijj9oze24mtguatfu69ny', 'start', 'start', 'start', 'done', '2026-11-30 00:11:44.020135+00', '2026-11-30 00:11:44.020135+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 194, 1, NULL, false, NULL, '', ''),
	(23, 'cmx2ijj9oxmarh1cb6grzrfj7', 'sleep', 'wait', 'sleep', 'incident', '2026-11-30 00:11:44.020135+00', NULL, NULL, NULL, NULL, '', '{"at": "2026-11-30T00:11:44.020135+00:00", "code": "no_date", "detail": "The field “due” holds ''soon'', which is no date.", "attempt": 1}', NULL, NULL, 194, 1, NULL, false, NULL, '', ''),
	(24, 'cmx2ijk3pi2cy6xra5txupf75', 'start', 'start', 'start', 'done', '2026-11-30 00:11:45.132554+00', '2026-11-30 00:11:45.132554+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 225, 1, NULL, false, NULL, '', ''),
	(25, 'cmx2ijk3qptx8plw4llzo97ob', 'form', 'user_action', 'form', 'cancelled', '2026-11-30 00:11:45.132554+00', '2026-11-30 00:11:45.210583+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 225, 1, NULL, false, NULL, '{"node":"form","version":20}', ''),
	(26, 'cmx2ijkav1xhs0v6577lpystd', 'start', 'start', 'start', 'open', '2026-11-30 00:11:45.414917+00', NULL, '2026-12-30 00:11:45.414766+00', NULL, NULL, '', NULL, NULL, NULL, 226, 1, NULL, false, NULL, '', ''),
	(27, 'cmx2ijlc168ixtlfkhbvz2z9n', 'start', 'start', 'start', 'done', '2026-11-30 00:11:46.707228+00', '2026-11-30 00:11:46.707228+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 257, 1, NULL, false, NULL, '', ''),
	(28, 'cmx2ijlc19tgklu5710xrvpbu', 'form', 'user_action', 'form', 'done', '2026-11-30 00:11:46.707228+00', '2026-11-30 00:11:46.86107+00', NULL, '{"note": "n"}', '{"note": "n"}', '', NULL, NULL, NULL, 257, 1, NULL, false, NULL, '', ''),
	(29, 'cmx2ijlf1c69xl6xio92vh2pu', 'end', 'end', 'end', 'done', '2026-11-30 00:11:46.86107+00', '2026-11-30 00:11:46.86107+00', NULL, NULL, NULL, '', NULL, NULL, NULL, 257, 1, NULL, false, NULL, '', '');
INSERT INTO public.executions_vote VALUES
	(1, 'ada', true, '', '2026-11-30 00:11:37.657128+00', 6, 1);
INSERT INTO public.workflows_auditcounter VALUES
	(1, 37);
INSERT INTO public.workflows_auditentry VALUES
	(1, '2026-11-30 00:10:59.781785+00', '', NULL, 'python', '', 'created', 'finding type', 'cmx2iikzkovqlxm37t83hti6m', 'Model Limitation', false, '', '', '{}', '{"name": "Model Limitation", "description": ""}', ''),
	(2, '2026-11-30 00:11:34.112602+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijbgxbh9qdpp9xe11cb18', 'Form', false, '', '', '{}', '{"state": "active", "title": "Form", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(3, '2026-11-30 00:11:34.800631+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijbgxbh9qdpp9xe11cb18', 'Form', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "af0dd529bc43a075331fc5190552807a17da16bea81beaabdafdadab82d17b8e"}', '{"notes": "", "version": 1, "checksum": "1c55b450dfe4a852b622018e30493c0277b2c91336bbd7418ab502352ae5f856"}', ''),
	(4, '2026-11-30 00:11:34.92614+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijc570i3wm5dnw4r61id2', 'Finding 0', false, '', '', '{}', '{"title": "Finding 0", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(5, '2026-11-30 00:11:35.64834+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijcn6wsqbiq1bfgb4ymu9', 'Deadline', false, '', '', '{}', '{"state": "active", "title": "Deadline", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(6, '2026-11-30 00:11:36.118115+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijcn6wsqbiq1bfgb4ymu9', 'Deadline', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "7a0c78857f36771310063235092764d1d14bfa2277c7c69fcdf30bbc79c3a13e"}', '{"notes": "", "version": 1, "checksum": "58605c5ffe40a7900a036a1cea3a33dc1e7d2513e1fe6186022d85e07112a769"}', ''),
	(7, '2026-11-30 00:11:36.205856+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijd4tzz21ggocjfkrnft5', 'Finding 1', false, '', '', '{}', '{"title": "Finding 1", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(8, '2026-11-30 00:11:36.683037+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijdgw7j6ygm5odjk9nq9h', 'Approval', false, '', '', '{}', '{"state": "active", "title": "Approval", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(9, '2026-11-30 00:11:37.251095+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijdgw7j6ygm5odjk9nq9h', 'Approval', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "251062715d765219a999a0502ced3e7460df7a6d690783f6315ca833dad31da5"}', '{"notes": "", "version": 1, "checksum": "760e2674c5353496d40b92aa9d53b8e84a82dd11cd1123c7e7d066a0cc9e0955"}', ''),
	(10, '2026-11-30 00:11:37.335603+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ije0x81aoeaiv983nsdoz', 'Finding 2', false, '', '', '{}', '{"title": "Finding 2", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(11, '2026-11-30 00:11:38.088751+00', 'ada', 1, 'python', '', 'voted', 'execution', 'cmx2ije8jphijj046y9j48ubg', 'cmx2ije8jphijj046y9j48ubg', false, '', '', '{}', '{"node": "vote", "notes": "", "approves": true}', ''),
	(12, '2026-11-30 00:11:38.196397+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijeofgi7w63tca49ra2p3', 'Wait', false, '', '', '{}', '{"state": "active", "title": "Wait", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(13, '2026-11-30 00:11:38.700614+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijeofgi7w63tca49ra2p3', 'Wait', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "3fff5b4d015d3ce34dee3e265cce23b8c68d066a672ebb5d86ca0528b1272010"}', '{"notes": "", "version": 1, "checksum": "06bede51ed11843b0cb4687b11940a24677bf44f39b54dd7ea32c92c8128d10c"}', ''),
	(14, '2026-11-30 00:11:38.907361+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijf6zy78vh1w5h5kx7k0f', 'Finding 3', false, '', '', '{}', '{"title": "Finding 3", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(15, '2026-11-30 00:11:39.383063+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijfjy50u8e4y7dgl51a1i', 'Callee', false, '', '', '{}', '{"state": "active", "title": "Callee", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(16, '2026-11-30 00:11:40.179018+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijfjy50u8e4y7dgl51a1i', 'Callee', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "804cd8da8b1554d447bdaf5f2538847df65be3218a1b8e49417446a2b3d63aee"}', '{"notes": "", "version": 1, "checksum": "61d031517f998584aef465ce4e0e4a5125c6dd22d39ee4f80af30a7f3be7a7f0"}', ''),
	(17, '2026-11-30 00:11:40.305357+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijg9x6q466djkczzpec3n', 'Finding 4', false, '', '', '{}', '{"title": "Finding 4", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(18, '2026-11-30 00:11:40.695589+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijgldpdgmka46b1o9ors9', 'Caller', false, '', '', '{}', '{"state": "active", "title": "Caller", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(19, '2026-11-30 00:11:41.163104+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijgldpdgmka46b1o9ors9', 'Caller', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "6132639d31eab53c39139dd2732986161293d585e3204b1fad6bafb4c582b5c7"}', '{"notes": "", "version": 1, "checksum": "94dbc148948450e7f41494208d4751b29846c950cac4cdbc13ae469a679ade15"}', ''),
	(20, '2026-11-30 00:11:41.243702+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijh24fareowdslsj1agr7', 'Finding 5', false, '', '', '{}', '{"title": "Finding 5", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(21, '2026-11-30 00:11:41.762044+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijhgy06ju58yyz8mq51gb', 'Parallel', false, '', '', '{}', '{"state": "active", "title": "Parallel", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(22, '2026-11-30 00:11:42.050997+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijhgy06ju58yyz8mq51gb', 'Parallel', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "5edf52081ca6c60a7442d85eab3039e527d3ff167060c79f05e65334c09667ff"}', '{"notes": "", "version": 1, "checksum": "7bb7c3d5e0079a00c00b412c59d1727c596a418065662f381269fb6af3f68d24"}', ''),
	(23, '2026-11-30 00:11:42.134173+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijhq4u1b5i51q2r8ezbcn', 'Finding 6', false, '', '', '{}', '{"title": "Finding 6", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(24, '2026-11-30 00:11:42.458448+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijhznv40f0u1m4buzhyfl', 'Call out', false, '', '', '{}', '{"state": "active", "title": "Call out", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(25, '2026-11-30 00:11:42.763432+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijhznv40f0u1m4buzhyfl', 'Call out', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "078781ca35170a0a9a4a7f6948e7f54a65e05403c70149e70c5445697e1ded64"}', '{"notes": "", "version": 1, "checksum": "3dacc324a2c9531700c4714c5516673e3bb9e0db46fd73876fad35a4f5958dc5"}', ''),
	(26, '2026-11-30 00:11:42.880561+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijia7o2184i0oetnlehey', 'Finding 7', false, '', '', '{}', '{"title": "Finding 7", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(27, '2026-11-30 00:11:43.223754+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijikifbopp4618fofwwpw', 'Incident', false, '', '', '{}', '{"state": "active", "title": "Incident", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(28, '2026-11-30 00:11:43.674642+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijikifbopp4618fofwwpw', 'Incident', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "b3826ed4c075e10708aeaff71bd0e454cbe0fd91cd3d30eb5d9ba740922fc20b"}', '{"notes": "", "version": 1, "checksum": "3b2f2e1482019867a49dedc90e6de82cc9ec5c8f051f0d94733531fa521a29ef"}', ''),
	(29, '2026-11-30 00:11:43.771715+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijizutgx1jx9x211ebo50', 'Finding 8', false, '', '', '{}', '{"title": "Finding 8", "fields": {"due": "soon"}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(30, '2026-11-30 00:11:44.247504+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijjbr7mlm1fs8ek2mskvd', 'Scheduled', false, '', '', '{}', '{"state": "active", "title": "Scheduled", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(31, '2026-11-30 00:11:44.733042+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijjbr7mlm1fs8ek2mskvd', 'Scheduled', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "a4e77ac87b399a4422c4aa4f320b40cee24b5bbf6e10b0ed4590dfee33ec7696"}', '{"notes": "", "version": 1, "checksum": "c79b3d960916da6d5bd1b53014334d5f00a839dc630afc777eab43915ba15403"}', ''),
	(32, '2026-11-30 00:11:44.856294+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijjtz7d4bojdwwg23uemc', 'Finding 9', false, '', '', '{}', '{"title": "Finding 9", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(33, '2026-11-30 00:11:45.289935+00', '', NULL, 'python', '', 'cancelled', 'execution', 'cmx2ijk37us02ndaozfj3xd06', 'cmx2ijk37us02ndaozfj3xd06', false, '', '', '{"status": "waiting"}', '{"status": "cancelled"}', ''),
	(34, '2026-11-30 00:11:45.385306+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijk8r5040tgydw14doeqc', 'Finding 10', false, '', '', '{}', '{"title": "Finding 10", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(35, '2026-11-30 00:11:45.606338+00', '', NULL, 'python', '', 'created', 'workflow', 'cmx2ijkd19jtpkxvx3nxqbkrm', 'Completed', false, '', '', '{}', '{"state": "active", "title": "Completed", "trigger": "manual", "description": "", "entity_name": "Finding", "trigger_data": {}, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', ''),
	(36, '2026-11-30 00:11:46.163879+00', '', NULL, 'python', '', 'graph_saved', 'workflow', 'cmx2ijkd19jtpkxvx3nxqbkrm', 'Completed', false, '', '', '{"notes": "", "source": {"edges": [{"id": "start-end", "source": "start", "target": "end"}], "nodes": [{"id": "start", "data": {"label": "Start"}, "type": "start", "position": {"x": 0, "y": 0}}, {"id": "end", "data": {"label": "End"}, "type": "end", "position": {"x": 0, "y": 160}}]}, "version": 1, "checksum": "c63fa246269affb6ad0aa5d2e5d5832b0e3686ed9d2dafe534f654ed8feef2db"}', '{"notes": "", "version": 1, "checksum": "2c9f2fe5e5671f388781ec3296154439d9ab06e9df35286330c64d74ff6f105c"}', ''),
	(37, '2026-11-30 00:11:46.294415+00', '', NULL, 'python', '', 'created', 'entity', 'cmx2ijkwbi82w22jje9x4ju65', 'Finding 11', false, '', '', '{}', '{"title": "Finding 11", "fields": {}, "entity_name": "Finding", "inventory_model": null, "entity_name_type": "cmx2iikzkovqlxm37t83hti6m", "primary_record_type": null}', '');
INSERT INTO public.workflows_candidate VALUES
	(1, 'form', true, 'Reviewers', false, 1, '', '{"node":"form","version":2}', 6, NULL, 2),
	(2, 'form', true, 'Reviewers', false, 1, '', '{"node":"form","version":4}', 6, NULL, 4),
	(3, 'vote', true, 'Reviewers', false, 2, '', '{"node":"vote","version":6}', 6, NULL, 6),
	(4, 'form', true, 'Reviewers', false, 1, '', '{"node":"form","version":10}', 6, NULL, 10),
	(5, 'form', true, 'Reviewers', false, 1, '', '{"node":"form","version":20}', 6, NULL, 20);
INSERT INTO public.workflows_findingtype VALUES
	(1, 'cmx2iikzkovqlxm37t83hti6m', 'Model Limitation', '', 'adfe972ad2410ae79d3d1767e1822ef357be255dbfa0863d8a6e3f332611bd51');
INSERT INTO public.workflows_reference VALUES
	(1, 'call', 'Finding:1:', true, DEFAULT, 12, 5);
INSERT INTO public.workflows_version VALUES
	(2, 'Finding', DEFAULT, 'cmx2ijbxlvu9mwe2y4an6k7cr', 1, '{"edges": [{"source": "start", "target": "form", "sourceHandle": null}, {"source": "form", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "form", "data": {"fields": [{"name": "note", "type": "text", "required": true}], "assignees": {"groups": ["Reviewers"]}}, "type": "user_action"}, {"id": "end", "type": "end"}]}', '1c55b450dfe4a852b622018e30493c0277b2c91336bbd7418ab502352ae5f856', true, DEFAULT, '', '2026-11-30 00:11:34.569907+00', NULL, 1, NULL, 1, ''),
	(4, 'Finding', DEFAULT, 'cmx2ijd24l5gb1g4cxrc85zkf', 1, '{"edges": [{"source": "start", "target": "form", "sourceHandle": null}, {"source": "form", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "form", "data": {"fields": [{"name": "note", "type": "text", "required": true}], "deadline": "P30D", "assignees": {"groups": ["Reviewers"]}}, "type": "user_action"}, {"id": "end", "type": "end"}]}', '58605c5ffe40a7900a036a1cea3a33dc1e7d2513e1fe6186022d85e07112a769', true, DEFAULT, '', '2026-11-30 00:11:36.029945+00', NULL, 1, NULL, 2, ''),
	(6, 'Finding', DEFAULT, 'cmx2ijdtwmpiuuxr7zl67z8oo', 1, '{"edges": [{"source": "start", "target": "vote", "sourceHandle": null}, {"source": "vote", "target": "end", "sourceHandle": "approved"}, {"source": "vote", "target": "no", "sourceHandle": "rejected"}], "nodes": [{"id": "start", "type": "start"}, {"id": "vote", "data": {"groups": ["Reviewers"], "needed": 2}, "type": "approval"}, {"id": "end", "type": "end"}, {"id": "no", "data": {"message": "No."}, "type": "fail"}]}', '760e2674c5353496d40b92aa9d53b8e84a82dd11cd1123c7e7d066a0cc9e0955', true, DEFAULT, '', '2026-11-30 00:11:37.029016+00', NULL, 1, NULL, 3, ''),
	(8, 'Finding', DEFAULT, 'cmx2ijeyvc5t36xh55a9f4y36', 1, '{"edges": [{"source": "start", "target": "sleep", "sourceHandle": null}, {"source": "sleep", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "sleep", "data": {"interval": "P30D"}, "type": "wait"}, {"id": "end", "type": "end"}]}', '06bede51ed11843b0cb4687b11940a24677bf44f39b54dd7ea32c92c8128d10c', true, DEFAULT, '', '2026-11-30 00:11:38.504449+00', NULL, 1, NULL, 4, ''),
	(10, 'Finding', DEFAULT, 'cmx2ijg2boav40th3lio95frk', 1, '{"edges": [{"source": "start", "target": "form", "sourceHandle": null}, {"source": "form", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "form", "data": {"fields": [{"name": "note", "type": "text", "required": true}], "assignees": {"groups": ["Reviewers"]}}, "type": "user_action"}, {"id": "end", "type": "end"}]}', '61d031517f998584aef465ce4e0e4a5125c6dd22d39ee4f80af30a7f3be7a7f0', true, DEFAULT, '', '2026-11-30 00:11:39.923636+00', NULL, 1, NULL, 5, ''),
	(12, 'Finding', DEFAULT, 'cmx2ijgw9knhpgfagvqny8nxb', 1, '{"edges": [{"source": "start", "target": "call", "sourceHandle": null}, {"source": "call", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "call", "data": {"workflow": "cmx2ijfjy50u8e4y7dgl51a1i"}, "type": "run_workflow"}, {"id": "end", "type": "end"}]}', '94dbc148948450e7f41494208d4751b29846c950cac4cdbc13ae469a679ade15', true, DEFAULT, '', '2026-11-30 00:11:41.002505+00', NULL, 1, NULL, 6, ''),
	(14, 'Finding', DEFAULT, 'cmx2ijhlx9fahoin5zpej4x22', 1, '{"edges": [{"source": "start", "target": "fork", "sourceHandle": null}, {"source": "fork", "target": "a", "sourceHandle": null}, {"source": "fork", "target": "b", "sourceHandle": null}, {"source": "a", "target": "join", "sourceHandle": null}, {"source": "b", "target": "join", "sourceHandle": null}, {"source": "join", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "fork", "type": "parallel"}, {"id": "a", "data": {"fields": [{"name": "note", "type": "text"}]}, "type": "user_action"}, {"id": "b", "data": {"fields": [{"name": "note", "type": "text"}]}, "type": "user_action"}, {"id": "join", "type": "join"}, {"id": "end", "type": "end"}]}', '7bb7c3d5e0079a00c00b412c59d1727c596a418065662f381269fb6af3f68d24', true, DEFAULT, '', '2026-11-30 00:11:41.925841+00', NULL, 1, NULL, 7, ''),
	(16, 'Finding', DEFAULT, 'cmx2iji5nhncj9c8lws32ifxb', 1, '{"edges": [{"source": "start", "target": "call", "sourceHandle": null}, {"source": "call", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "call", "data": {"url": "https://api.example.com/x", "method": "POST"}, "type": "http_request"}, {"id": "end", "type": "end"}]}', '3dacc324a2c9531700c4714c5516673e3bb9e0db46fd73876fad35a4f5958dc5', true, DEFAULT, '', '2026-11-30 00:11:42.635555+00', NULL, 1, NULL, 8, ''),
	(18, 'Finding', DEFAULT, 'cmx2ijiscgpa8dad15dhz5h8z', 1, '{"edges": [{"source": "start", "target": "sleep", "sourceHandle": null}, {"source": "sleep", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "sleep", "data": {"at_field": "due"}, "type": "wait"}, {"id": "end", "type": "end"}]}', '3b2f2e1482019867a49dedc90e6de82cc9ec5c8f051f0d94733531fa521a29ef', true, DEFAULT, '', '2026-11-30 00:11:43.453416+00', NULL, 1, NULL, 9, ''),
	(20, 'Finding', DEFAULT, 'cmx2ijjmwts76v09t7txj6hpp', 1, '{"edges": [{"source": "start", "target": "form", "sourceHandle": null}, {"source": "form", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "form", "data": {"fields": [{"name": "note", "type": "text", "required": true}], "assignees": {"groups": ["Reviewers"]}}, "type": "user_action"}, {"id": "end", "type": "end"}]}', 'c79b3d960916da6d5bd1b53014334d5f00a839dc630afc777eab43915ba15403', true, DEFAULT, '', '2026-11-30 00:11:44.552817+00', NULL, 1, NULL, 10, ''),
	(22, 'Finding', DEFAULT, 'cmx2ijkolj0pgkqiy7665xmzb', 1, '{"edges": [{"source": "start", "target": "form", "sourceHandle": null}, {"source": "form", "target": "end", "sourceHandle": null}], "nodes": [{"id": "start", "type": "start"}, {"id": "form", "data": {"fields": [{"name": "note", "type": "text"}]}, "type": "user_action"}, {"id": "end", "type": "end"}]}', '2c9f2fe5e5671f388781ec3296154439d9ab06e9df35286330c64d74ff6f105c', true, DEFAULT, '', '2026-11-30 00:11:45.909541+00', NULL, 1, NULL, 11, '');
INSERT INTO public.workflows_workflow VALUES
	(1, 'Finding', DEFAULT, 'cmx2ijbgxbh9qdpp9xe11cb18', 'Form', '', 'manual', '{}', 'active', '2026-11-30 00:11:33.969669+00', '2026-11-30 00:11:34.735385+00', 1, NULL),
	(2, 'Finding', DEFAULT, 'cmx2ijcn6wsqbiq1bfgb4ymu9', 'Deadline', '', 'manual', '{}', 'active', '2026-11-30 00:11:35.490923+00', '2026-11-30 00:11:36.087842+00', 1, NULL),
	(3, 'Finding', DEFAULT, 'cmx2ijdgw7j6ygm5odjk9nq9h', 'Approval', '', 'manual', '{}', 'active', '2026-11-30 00:11:36.561212+00', '2026-11-30 00:11:37.1897+00', 1, NULL),
	(4, 'Finding', DEFAULT, 'cmx2ijeofgi7w63tca49ra2p3', 'Wait', '', 'manual', '{}', 'active', '2026-11-30 00:11:38.12755+00', '2026-11-30 00:11:38.645072+00', 1, NULL),
	(6, 'Finding', DEFAULT, 'cmx2ijgldpdgmka46b1o9ors9', 'Caller', '', 'manual', '{}', 'active', '2026-11-30 00:11:40.62489+00', '2026-11-30 00:11:41.091672+00', 1, NULL),
	(5, 'Finding', DEFAULT, 'cmx2ijfjy50u8e4y7dgl51a1i', 'Callee', '', 'manual', '{}', 'active', '2026-11-30 00:11:39.263037+00', '2026-11-30 00:11:40.065854+00', 1, NULL),
	(7, 'Finding', DEFAULT, 'cmx2ijhgy06ju58yyz8mq51gb', 'Parallel', '', 'manual', '{}', 'active', '2026-11-30 00:11:41.747261+00', '2026-11-30 00:11:41.994572+00', 1, NULL),
	(8, 'Finding', DEFAULT, 'cmx2ijhznv40f0u1m4buzhyfl', 'Call out', '', 'manual', '{}', 'active', '2026-11-30 00:11:42.419735+00', '2026-11-30 00:11:42.727632+00', 1, NULL),
	(9, 'Finding', DEFAULT, 'cmx2ijikifbopp4618fofwwpw', 'Incident', '', 'manual', '{}', 'active', '2026-11-30 00:11:43.171233+00', '2026-11-30 00:11:43.637208+00', 1, NULL),
	(10, 'Finding', DEFAULT, 'cmx2ijjbr7mlm1fs8ek2mskvd', 'Scheduled', '', 'manual', '{}', 'active', '2026-11-30 00:11:44.152+00', '2026-11-30 00:11:44.68742+00', 1, NULL),
	(11, 'Finding', DEFAULT, 'cmx2ijkd19jtpkxvx3nxqbkrm', 'Completed', '', 'manual', '{}', 'active', '2026-11-30 00:11:45.493615+00', '2026-11-30 00:11:46.048849+00', 1, NULL);
SELECT pg_catalog.setval('public.auth_group_id_seq', 6, true);
SELECT pg_catalog.setval('public.auth_group_permissions_id_seq', 136, true);
SELECT pg_catalog.setval('public.auth_permission_id_seq', 125, true);
SELECT pg_catalog.setval('public.auth_user_groups_id_seq', 2, true);
SELECT pg_catalog.setval('public.auth_user_id_seq', 2, true);
SELECT pg_catalog.setval('public.auth_user_user_permissions_id_seq', 1, false);
SELECT pg_catalog.setval('public.django_admin_log_id_seq', 1, false);
SELECT pg_catalog.setval('public.django_content_type_id_seq', 41, true);
SELECT pg_catalog.setval('public.django_migrations_id_seq', 63, true);
SELECT pg_catalog.setval('public.executions_bulkitem_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_bulkoperation_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_delivery_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_deliveryattempt_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_entity_id_seq', 12, true);
SELECT pg_catalog.setval('public.executions_execution_id_seq', 288, true);
SELECT pg_catalog.setval('public.executions_formdraft_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_job_id_seq', 4, true);
SELECT pg_catalog.setval('public.executions_outgoingdelivery_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_peoplechange_id_seq', 2, true);
SELECT pg_catalog.setval('public.executions_pin_id_seq', 1, true);
SELECT pg_catalog.setval('public.executions_secret_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_signingsecret_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_step_id_seq', 29, true);
SELECT pg_catalog.setval('public.executions_subscription_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_triggeredstart_id_seq', 1, false);
SELECT pg_catalog.setval('public.executions_vote_id_seq', 1, true);
SELECT pg_catalog.setval('public.workflows_candidate_id_seq', 5, true);
SELECT pg_catalog.setval('public.workflows_draftstate_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_findingtype_id_seq', 1, true);
SELECT pg_catalog.setval('public.workflows_graphdraft_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_keptanswer_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_pendingchange_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_pendingworkflow_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_recordtype_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_reference_id_seq', 1, true);
SELECT pg_catalog.setval('public.workflows_savedfilter_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_unsealed_id_seq', 1, false);
SELECT pg_catalog.setval('public.workflows_version_id_seq', 22, true);
SELECT pg_catalog.setval('public.workflows_workflow_id_seq', 11, true);
ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_name_key UNIQUE (name);
ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_permission_id_0cd325b0_uniq UNIQUE (group_id, permission_id);
ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_codename_01ab375a_uniq UNIQUE (content_type_id, codename);
ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_group_id_94350c0c_uniq UNIQUE (user_id, group_id);
ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_permission_id_14a6b632_uniq UNIQUE (user_id, permission_id);
ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_username_key UNIQUE (username);
ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_app_label_model_76bd3d3b_uniq UNIQUE (app_label, model);
ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.django_session
    ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);
ALTER TABLE ONLY public.executions_bulkitem
    ADD CONSTRAINT executions_bulkitem_once UNIQUE (operation_id, execution_id);
ALTER TABLE ONLY public.executions_bulkitem
    ADD CONSTRAINT executions_bulkitem_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_bulkoperation
    ADD CONSTRAINT executions_bulkoperation_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.executions_bulkoperation
    ADD CONSTRAINT executions_bulkoperation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_delivery
    ADD CONSTRAINT executions_delivery_execution_id_key UNIQUE (execution_id);
ALTER TABLE ONLY public.executions_delivery
    ADD CONSTRAINT executions_delivery_once UNIQUE (workflow_id, delivery);
ALTER TABLE ONLY public.executions_delivery
    ADD CONSTRAINT executions_delivery_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_deliveryattempt
    ADD CONSTRAINT executions_deliveryattempt_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_entity
    ADD CONSTRAINT executions_entity_context UNIQUE (id, context_key);
ALTER TABLE ONLY public.executions_entity
    ADD CONSTRAINT executions_entity_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.executions_entity
    ADD CONSTRAINT executions_entity_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_cuid UNIQUE (cuid);
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_live UNIQUE (id, live);
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_formdraft
    ADD CONSTRAINT executions_formdraft_once UNIQUE (step_id, user_id);
ALTER TABLE ONLY public.executions_formdraft
    ADD CONSTRAINT executions_formdraft_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_job
    ADD CONSTRAINT executions_job_once UNIQUE (step_id, kind);
ALTER TABLE ONLY public.executions_job
    ADD CONSTRAINT executions_job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_outgoingdelivery
    ADD CONSTRAINT executions_outgoingdelivery_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.executions_outgoingdelivery
    ADD CONSTRAINT executions_outgoingdelivery_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_peoplechange
    ADD CONSTRAINT executions_peoplechange_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_pin
    ADD CONSTRAINT executions_pin_callee UNIQUE (root_id, callee_id);
ALTER TABLE ONLY public.executions_pin
    ADD CONSTRAINT executions_pin_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_secret
    ADD CONSTRAINT executions_secret_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.executions_secret
    ADD CONSTRAINT executions_secret_name_key UNIQUE (name);
ALTER TABLE ONLY public.executions_secret
    ADD CONSTRAINT executions_secret_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_signingsecret
    ADD CONSTRAINT executions_signingsecret_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_step
    ADD CONSTRAINT executions_step_cuid UNIQUE (cuid);
ALTER TABLE ONLY public.executions_step
    ADD CONSTRAINT executions_step_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_subscription
    ADD CONSTRAINT executions_subscription_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.executions_subscription
    ADD CONSTRAINT executions_subscription_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_triggeredstart
    ADD CONSTRAINT executions_triggeredstart_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.executions_vote
    ADD CONSTRAINT executions_vote_by_user UNIQUE (step_id, user_id);
ALTER TABLE ONLY public.executions_vote
    ADD CONSTRAINT executions_vote_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.knox_authtoken
    ADD CONSTRAINT knox_authtoken_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.workflows_auditcounter
    ADD CONSTRAINT workflows_auditcounter_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_auditentry
    ADD CONSTRAINT workflows_auditentry_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_candidate
    ADD CONSTRAINT workflows_candidate_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_draftstate
    ADD CONSTRAINT workflows_draftstate_once UNIQUE (draft_id, number);
ALTER TABLE ONLY public.workflows_draftstate
    ADD CONSTRAINT workflows_draftstate_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_findingtype
    ADD CONSTRAINT workflows_findingtype_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.workflows_findingtype
    ADD CONSTRAINT workflows_findingtype_name_key UNIQUE (name);
ALTER TABLE ONLY public.workflows_findingtype
    ADD CONSTRAINT workflows_findingtype_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_graphdraft
    ADD CONSTRAINT workflows_graphdraft_once UNIQUE (workflow_id, user_id);
ALTER TABLE ONLY public.workflows_graphdraft
    ADD CONSTRAINT workflows_graphdraft_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_keptanswer
    ADD CONSTRAINT workflows_keptanswer_once UNIQUE (user_id, route, key, item);
ALTER TABLE ONLY public.workflows_keptanswer
    ADD CONSTRAINT workflows_keptanswer_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_pendingchange
    ADD CONSTRAINT workflows_pendingchange_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.workflows_pendingchange
    ADD CONSTRAINT workflows_pendingchange_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_pendingworkflow
    ADD CONSTRAINT workflows_pendingworkflow_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_recordtype
    ADD CONSTRAINT workflows_recordtype_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.workflows_recordtype
    ADD CONSTRAINT workflows_recordtype_name_key UNIQUE (name);
ALTER TABLE ONLY public.workflows_recordtype
    ADD CONSTRAINT workflows_recordtype_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_reference
    ADD CONSTRAINT workflows_reference_node UNIQUE (version_id, node_id);
ALTER TABLE ONLY public.workflows_reference
    ADD CONSTRAINT workflows_reference_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_savedfilter
    ADD CONSTRAINT workflows_savedfilter_once UNIQUE (user_id, list, name);
ALTER TABLE ONLY public.workflows_savedfilter
    ADD CONSTRAINT workflows_savedfilter_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_unsealed
    ADD CONSTRAINT workflows_unsealed_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_unsealed
    ADD CONSTRAINT workflows_unsealed_row UNIQUE (table_name, row_id);
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_force UNIQUE (id, in_force, context_key);
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_held UNIQUE (id, workflow_id, held_key);
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_number UNIQUE (workflow_id, number);
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workflows_workflow
    ADD CONSTRAINT workflows_workflow_context UNIQUE (id, context_key);
ALTER TABLE ONLY public.workflows_workflow
    ADD CONSTRAINT workflows_workflow_cuid_key UNIQUE (cuid);
ALTER TABLE ONLY public.workflows_workflow
    ADD CONSTRAINT workflows_workflow_pkey PRIMARY KEY (id);
CREATE INDEX auth_group_name_a6ea08ec_like ON public.auth_group USING btree (name varchar_pattern_ops);
CREATE INDEX auth_group_permissions_group_id_b120cbf9 ON public.auth_group_permissions USING btree (group_id);
CREATE INDEX auth_group_permissions_permission_id_84c5c92e ON public.auth_group_permissions USING btree (permission_id);
CREATE INDEX auth_permission_content_type_id_2f476e4b ON public.auth_permission USING btree (content_type_id);
CREATE INDEX auth_user_groups_group_id_97559544 ON public.auth_user_groups USING btree (group_id);
CREATE INDEX auth_user_groups_user_id_6a12ed8b ON public.auth_user_groups USING btree (user_id);
CREATE INDEX auth_user_user_permissions_permission_id_1fbb5f2c ON public.auth_user_user_permissions USING btree (permission_id);
CREATE INDEX auth_user_user_permissions_user_id_a95ead1b ON public.auth_user_user_permissions USING btree (user_id);
CREATE INDEX auth_user_username_6821ab7c_like ON public.auth_user USING btree (username varchar_pattern_ops);
CREATE INDEX django_admin_log_content_type_id_c4bce8eb ON public.django_admin_log USING btree (content_type_id);
CREATE INDEX django_admin_log_user_id_c564eba6 ON public.django_admin_log USING btree (user_id);
CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session USING btree (expire_date);
CREATE INDEX django_session_session_key_c0390e0f_like ON public.django_session USING btree (session_key varchar_pattern_ops);
CREATE INDEX executions_asked_step ON public.executions_step USING btree (assignees, execution_id) WHERE (((state)::text = 'open'::text) AND ((type)::text = ANY ((ARRAY['user_action'::character varying, 'approval'::character varying])::text[])));
CREATE INDEX executions_bulk_due ON public.executions_bulkoperation USING btree (due_at) WHERE ((state)::text = 'working'::text);
CREATE INDEX executions_bulkitem_by_state ON public.executions_bulkitem USING btree (operation_id, state, id);
CREATE INDEX executions_bulkitem_execution_id_38527198 ON public.executions_bulkitem USING btree (execution_id);
CREATE INDEX executions_bulkoperation_asked_by_id_170901ad ON public.executions_bulkoperation USING btree (asked_by_id);
CREATE INDEX executions_bulkoperation_cuid_b6734b25_like ON public.executions_bulkoperation USING btree (cuid varchar_pattern_ops);
CREATE INDEX executions_by_end ON public.executions_execution USING btree (ended_at, id) WHERE (ended_at IS NOT NULL);
CREATE INDEX executions_by_start ON public.executions_execution USING btree (started_at, id);
CREATE INDEX executions_by_status ON public.executions_execution USING btree (status, id);
CREATE INDEX executions_by_update ON public.executions_execution USING brin (updated_at) WITH (autosummarize='on', pages_per_range='32');
CREATE INDEX executions_by_workflow ON public.executions_execution USING btree (workflow_id, id);
CREATE INDEX executions_children ON public.executions_execution USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX executions_delivery_left ON public.executions_delivery USING btree (at) WHERE (execution_id IS NULL);
CREATE INDEX executions_deliveryattempt_delivery_id_05006427 ON public.executions_deliveryattempt USING btree (delivery_id);
CREATE INDEX executions_descendants ON public.executions_execution USING btree (root_id) WHERE (root_id IS NOT NULL);
CREATE INDEX executions_entity_cuid_415a532c_like ON public.executions_entity USING btree (cuid varchar_pattern_ops);
CREATE INDEX executions_entity_entity_name_type_id_e949e532 ON public.executions_entity USING btree (entity_name_type_id);
CREATE INDEX executions_entity_inventory_model_id_630c1878 ON public.executions_entity USING btree (inventory_model_id);
CREATE INDEX executions_entity_primary_record_type_id_cc8b8cba ON public.executions_entity USING btree (primary_record_type_id);
CREATE INDEX executions_entity_title ON public.executions_entity USING btree (title, id);
CREATE INDEX executions_execution_started_by_id_80080043 ON public.executions_execution USING btree (started_by_id);
CREATE INDEX executions_formdraft_user_id_dd33c5be ON public.executions_formdraft USING btree (user_id);
CREATE INDEX executions_incident ON public.executions_step USING btree (execution_id) WHERE ((state)::text = 'incident'::text);
CREATE INDEX executions_job_due ON public.executions_job USING btree (due_at);
CREATE INDEX executions_job_step_id_8c13d028 ON public.executions_job USING btree (step_id);
CREATE INDEX executions_live_workflow ON public.executions_execution USING btree (workflow_id, id) WHERE (live_key IS NOT NULL);
CREATE INDEX executions_of_entity ON public.executions_execution USING btree (entity_id, live_key);
CREATE INDEX executions_of_version ON public.executions_execution USING btree (version_id, live_key);
CREATE INDEX executions_open_step ON public.executions_step USING btree (execution_id, node_id) WHERE ((state)::text = ANY ((ARRAY['open'::character varying, 'incident'::character varying])::text[]));
CREATE INDEX executions_outgoing_at ON public.executions_outgoingdelivery USING btree (at);
CREATE INDEX executions_outgoing_due ON public.executions_outgoingdelivery USING btree (due_at) WHERE ((state)::text = 'waiting'::text);
CREATE INDEX executions_outgoingdelivery_cuid_7b184e6c_like ON public.executions_outgoingdelivery USING btree (cuid varchar_pattern_ops);
CREATE INDEX executions_outgoingdelivery_subscription_id_74a0c0ab ON public.executions_outgoingdelivery USING btree (subscription_id);
CREATE INDEX executions_overdue_step ON public.executions_step USING btree (execution_id) WHERE (overdue AND ((state)::text = ANY ((ARRAY['open'::character varying, 'incident'::character varying])::text[])));
CREATE INDEX executions_pins_of_callee ON public.executions_pin USING btree (callee_id, held_key);
CREATE INDEX executions_pins_of_version ON public.executions_pin USING btree (version_id, held_key);
CREATE INDEX executions_secret_cuid_471704b3_like ON public.executions_secret USING btree (cuid varchar_pattern_ops);
CREATE UNIQUE INDEX executions_secret_name ON public.executions_secret USING btree (name_key) WHERE (name_key IS NOT NULL);
CREATE INDEX executions_secret_name_0e7b73ac_like ON public.executions_secret USING btree (name varchar_pattern_ops);
CREATE INDEX executions_signingsecret_subscription_id_e57b3f4e ON public.executions_signingsecret USING btree (subscription_id);
CREATE UNIQUE INDEX executions_step_child ON public.executions_step USING btree (child_id) WHERE (child_id IS NOT NULL);
CREATE INDEX executions_step_closed_by ON public.executions_step USING btree (closed_by_id) WHERE (closed_by_id IS NOT NULL);
CREATE INDEX executions_step_execution_id_0cf30c19 ON public.executions_step USING btree (execution_id);
CREATE INDEX executions_subscription_cuid_ff9e0b87_like ON public.executions_subscription USING btree (cuid varchar_pattern_ops);
CREATE INDEX executions_subscription_entity_name_type_id_e8f431b8 ON public.executions_subscription USING btree (entity_name_type_id);
CREATE INDEX executions_subscription_on ON public.executions_subscription USING btree (state) WHERE ((state)::text = 'active'::text);
CREATE INDEX executions_subscription_workflow_id_8773ebb7 ON public.executions_subscription USING btree (workflow_id);
CREATE INDEX executions_triggeredstart_asked_by_id_b22d4076 ON public.executions_triggeredstart USING btree (asked_by_id);
CREATE INDEX executions_triggeredstart_due_at_71ff3bc8 ON public.executions_triggeredstart USING btree (due_at);
CREATE INDEX executions_triggeredstart_entity_id_feff144e ON public.executions_triggeredstart USING btree (entity_id);
CREATE INDEX executions_vote_step_id_2a4f7afa ON public.executions_vote USING btree (step_id);
CREATE INDEX executions_vote_user_id_b820b49b ON public.executions_vote USING btree (user_id);
CREATE INDEX knox_authtoken_digest_188c7e77_like ON public.knox_authtoken USING btree (digest varchar_pattern_ops);
CREATE INDEX knox_authtoken_token_key_8f4f7d47 ON public.knox_authtoken USING btree (token_key);
CREATE INDEX knox_authtoken_token_key_8f4f7d47_like ON public.knox_authtoken USING btree (token_key varchar_pattern_ops);
CREATE INDEX knox_authtoken_user_id_e5a5d899 ON public.knox_authtoken USING btree (user_id);
CREATE INDEX workflows_auditentry_at_1ee9156f ON public.workflows_auditentry USING btree (at);
CREATE INDEX workflows_auditentry_cuid ON public.workflows_auditentry USING btree (cuid, id);
CREATE INDEX workflows_auditentry_no ON public.workflows_auditentry USING btree (id) WHERE refused;
CREATE INDEX workflows_auditentry_request_id_66aee38e ON public.workflows_auditentry USING btree (request_id);
CREATE INDEX workflows_auditentry_request_id_66aee38e_like ON public.workflows_auditentry USING btree (request_id varchar_pattern_ops);
CREATE INDEX workflows_candidate_group ON public.workflows_candidate USING btree (group_id) WHERE (group_id IS NOT NULL);
CREATE INDEX workflows_candidate_key ON public.workflows_candidate USING btree (key);
CREATE INDEX workflows_candidate_node ON public.workflows_candidate USING btree (version_id, node_id);
CREATE INDEX workflows_candidate_unknown ON public.workflows_candidate USING btree (id) WHERE is_unknown;
CREATE INDEX workflows_candidate_user ON public.workflows_candidate USING btree (user_id) WHERE (user_id IS NOT NULL);
CREATE INDEX workflows_draftstate_draft_id_4fa8fb99 ON public.workflows_draftstate USING btree (draft_id);
CREATE INDEX workflows_findingtype_cuid_88c9fa1b_like ON public.workflows_findingtype USING btree (cuid varchar_pattern_ops);
CREATE UNIQUE INDEX workflows_findingtype_name ON public.workflows_findingtype USING btree (name_key) WHERE (name_key IS NOT NULL);
CREATE INDEX workflows_findingtype_name_8ef4a0cb_like ON public.workflows_findingtype USING btree (name varchar_pattern_ops);
CREATE INDEX workflows_graphdraft_user_id_315000c3 ON public.workflows_graphdraft USING btree (user_id);
CREATE INDEX workflows_graphdraft_workflow_id_d2c1f532 ON public.workflows_graphdraft USING btree (workflow_id);
CREATE INDEX workflows_keptanswer_at_c1b75403 ON public.workflows_keptanswer USING btree (at);
CREATE INDEX workflows_keptanswer_user_id_005958c3 ON public.workflows_keptanswer USING btree (user_id);
CREATE UNIQUE INDEX workflows_pending_once ON public.workflows_pendingworkflow USING btree (workflow_id) WHERE waiting;
CREATE INDEX workflows_pendingchange_asked_by_id_e4679989 ON public.workflows_pendingchange USING btree (asked_by_id);
CREATE INDEX workflows_pendingchange_cuid_566de4ca_like ON public.workflows_pendingchange USING btree (cuid varchar_pattern_ops);
CREATE INDEX workflows_pendingchange_entity_name_type_id_47fa3bab ON public.workflows_pendingchange USING btree (entity_name_type_id);
CREATE INDEX workflows_pendingchange_primary_record_type_id_50cd2b40 ON public.workflows_pendingchange USING btree (primary_record_type_id);
CREATE INDEX workflows_pendingchange_wait ON public.workflows_pendingchange USING btree (state) WHERE ((state)::text = 'waiting'::text);
CREATE INDEX workflows_pendingworkflow_change_id_6b6a0fc2 ON public.workflows_pendingworkflow USING btree (change_id);
CREATE INDEX workflows_pendingworkflow_workflow_id_4b74d2ae ON public.workflows_pendingworkflow USING btree (workflow_id);
CREATE INDEX workflows_recordtype_cuid_cb80865b_like ON public.workflows_recordtype USING btree (cuid varchar_pattern_ops);
CREATE UNIQUE INDEX workflows_recordtype_name ON public.workflows_recordtype USING btree (name_key) WHERE (name_key IS NOT NULL);
CREATE INDEX workflows_recordtype_name_6bb11bd3_like ON public.workflows_recordtype USING btree (name varchar_pattern_ops);
CREATE INDEX workflows_reference_callee_id_255bd2b8 ON public.workflows_reference USING btree (callee_id);
CREATE INDEX workflows_reference_held ON public.workflows_reference USING btree (callee_id, held_key);
CREATE INDEX workflows_reference_version_id_e491e850 ON public.workflows_reference USING btree (version_id);
CREATE UNIQUE INDEX workflows_savedfilter_name ON public.workflows_savedfilter USING btree (user_id, list, name_key) WHERE (name_key IS NOT NULL);
CREATE INDEX workflows_savedfilter_user_id_ac931fc2 ON public.workflows_savedfilter USING btree (user_id);
CREATE INDEX workflows_version_created_by_id_27f731ee ON public.workflows_version USING btree (created_by_id);
CREATE INDEX workflows_version_cuid_6b0b7620_like ON public.workflows_version USING btree (cuid varchar_pattern_ops);
CREATE INDEX workflows_version_entity_name_type_id_fa26de48 ON public.workflows_version USING btree (entity_name_type_id);
CREATE INDEX workflows_version_in_force ON public.workflows_version USING btree (workflow_id, number) WHERE in_force;
CREATE INDEX workflows_version_primary_record_type_id_013472ea ON public.workflows_version USING btree (primary_record_type_id);
CREATE INDEX workflows_version_workflow_id_02c5e5a4 ON public.workflows_version USING btree (workflow_id);
CREATE INDEX workflows_workflow_changed ON public.workflows_workflow USING btree (context_key) WHERE (((state)::text = 'active'::text) AND ((trigger)::text = 'changed'::text));
CREATE UNIQUE INDEX workflows_workflow_created ON public.workflows_workflow USING btree (context_key) WHERE (((trigger)::text = 'created'::text) AND (NOT ((state)::text = 'retired'::text)));
CREATE INDEX workflows_workflow_cuid_b65bf0ed_like ON public.workflows_workflow USING btree (cuid varchar_pattern_ops);
CREATE INDEX workflows_workflow_entity_name_type_id_6952f448 ON public.workflows_workflow USING btree (entity_name_type_id);
CREATE INDEX workflows_workflow_primary_record_type_id_d5b196b7 ON public.workflows_workflow USING btree (primary_record_type_id);
CREATE INDEX workflows_workflow_state_ba43ec79 ON public.workflows_workflow USING btree (state);
CREATE INDEX workflows_workflow_state_ba43ec79_like ON public.workflows_workflow USING btree (state varchar_pattern_ops);
CREATE TRIGGER executions_candidate_changes AFTER UPDATE OF group_id, user_id ON public.workflows_candidate FOR EACH ROW EXECUTE FUNCTION public.executions_candidate_changes();
CREATE TRIGGER executions_candidate_goes AFTER DELETE ON public.workflows_candidate FOR EACH ROW EXECUTE FUNCTION public.executions_candidate_goes();
CREATE TRIGGER executions_change_applied AFTER UPDATE OF entity_name, entity_name_type_id, primary_record_type_id ON public.workflows_workflow FOR EACH ROW WHEN (((((old.entity_name)::text IS DISTINCT FROM (new.entity_name)::text) OR (old.entity_name_type_id IS DISTINCT FROM new.entity_name_type_id)) OR (old.primary_record_type_id IS DISTINCT FROM new.primary_record_type_id))) EXECUTE FUNCTION public.executions_change_applied();
CREATE TRIGGER executions_change_refused AFTER INSERT ON public.workflows_auditentry FOR EACH ROW WHEN (((((new.kind)::text = 'pending change'::text) AND ((new.action)::text = 'not_applied'::text)) OR (new.refused AND ((new.kind)::text = 'workflow'::text) AND ((new.action)::text = 'changed'::text) AND (jsonb_exists(new.after, 'entity_name'::text) OR jsonb_exists(new.after, 'entity_name_type'::text) OR jsonb_exists(new.after, 'primary_record_type'::text))))) EXECUTE FUNCTION public.executions_change_refused();
CREATE TRIGGER executions_entity_sealed AFTER UPDATE OF cuid ON public.executions_entity FOR EACH ROW WHEN (((old.cuid)::text IS DISTINCT FROM (new.cuid)::text)) EXECUTE FUNCTION public.holdfast_sealed();
CREATE TRIGGER executions_execution_begun AFTER INSERT ON public.executions_execution FOR EACH ROW EXECUTE FUNCTION public.executions_execution_begun();
CREATE TRIGGER executions_execution_final AFTER UPDATE OF status ON public.executions_execution FOR EACH ROW WHEN ((((old.status)::text IS DISTINCT FROM (new.status)::text) AND ((old.status)::text = ANY ((ARRAY['completed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[])))) EXECUTE FUNCTION public.holdfast_sealed();
CREATE TRIGGER executions_execution_sealed AFTER UPDATE OF cuid, workflow_id, version_id, entity_id, context_key, root_id, parent_id, started_at, scheduled_for ON public.executions_execution FOR EACH ROW WHEN (((((((((((old.cuid)::text IS DISTINCT FROM (new.cuid)::text) OR (old.workflow_id IS DISTINCT FROM new.workflow_id)) OR (old.version_id IS DISTINCT FROM new.version_id)) OR (old.entity_id IS DISTINCT FROM new.entity_id)) OR (old.context_key IS DISTINCT FROM new.context_key)) OR (old.root_id IS DISTINCT FROM new.root_id)) OR (old.parent_id IS DISTINCT FROM new.parent_id)) OR (old.started_at IS DISTINCT FROM new.started_at)) OR (old.scheduled_for IS DISTINCT FROM new.scheduled_for))) EXECUTE FUNCTION public.holdfast_sealed();
CREATE TRIGGER executions_execution_went_on AFTER UPDATE OF status ON public.executions_execution FOR EACH ROW WHEN (((old.status)::text <> (new.status)::text)) EXECUTE FUNCTION public.executions_execution_went_on();
CREATE TRIGGER executions_group_permission_granted AFTER INSERT ON public.auth_group_permissions FOR EACH ROW EXECUTE FUNCTION public.executions_group_permission_granted();
CREATE TRIGGER executions_group_permission_taken AFTER DELETE ON public.auth_group_permissions FOR EACH ROW EXECUTE FUNCTION public.executions_group_permission_taken();
CREATE TRIGGER executions_member_joins AFTER INSERT ON public.auth_user_groups FOR EACH ROW EXECUTE FUNCTION public.executions_member_joins();
CREATE TRIGGER executions_member_leaves AFTER DELETE ON public.auth_user_groups FOR EACH ROW EXECUTE FUNCTION public.executions_member_leaves();
CREATE TRIGGER executions_permission_granted AFTER INSERT ON public.auth_user_user_permissions FOR EACH ROW EXECUTE FUNCTION public.executions_permission_granted();
CREATE TRIGGER executions_permission_taken AFTER DELETE ON public.auth_user_user_permissions FOR EACH ROW EXECUTE FUNCTION public.executions_permission_taken();
CREATE CONSTRAINT TRIGGER executions_pin_attached AFTER DELETE ON public.executions_pin DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.holdfast_attached('executions_execution', 'root_id');
CREATE TRIGGER executions_pin_sealed AFTER UPDATE OF root_id, callee_id, version_id, context_key ON public.executions_pin FOR EACH ROW WHEN (((((old.root_id IS DISTINCT FROM new.root_id) OR (old.callee_id IS DISTINCT FROM new.callee_id)) OR (old.version_id IS DISTINCT FROM new.version_id)) OR (old.context_key IS DISTINCT FROM new.context_key))) EXECUTE FUNCTION public.holdfast_sealed();
CREATE TRIGGER executions_user_activity AFTER UPDATE OF is_active, is_superuser ON public.auth_user FOR EACH ROW WHEN (((old.is_active <> new.is_active) OR (old.is_superuser <> new.is_superuser))) EXECUTE FUNCTION public.executions_user_activity();
CREATE TRIGGER holdfast_ended_tokens AFTER UPDATE OF password ON public.auth_user FOR EACH ROW WHEN (((old.password)::text IS DISTINCT FROM (new.password)::text)) EXECUTE FUNCTION public.holdfast_ended_tokens();
CREATE CONSTRAINT TRIGGER workflows_auditentry_kept AFTER DELETE ON public.workflows_auditentry DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.holdfast_attached('', '');
CREATE TRIGGER workflows_auditentry_sealed AFTER UPDATE OF id, at, who, user_id, face, request_id, action, kind, cuid, title, refused, code, detail, before, after, why ON public.workflows_auditentry FOR EACH ROW WHEN (((((((((((((((((old.id IS DISTINCT FROM new.id) OR (old.at IS DISTINCT FROM new.at)) OR ((old.who)::text IS DISTINCT FROM (new.who)::text)) OR (old.user_id IS DISTINCT FROM new.user_id)) OR ((old.face)::text IS DISTINCT FROM (new.face)::text)) OR ((old.request_id)::text IS DISTINCT FROM (new.request_id)::text)) OR ((old.action)::text IS DISTINCT FROM (new.action)::text)) OR ((old.kind)::text IS DISTINCT FROM (new.kind)::text)) OR ((old.cuid)::text IS DISTINCT FROM (new.cuid)::text)) OR ((old.title)::text IS DISTINCT FROM (new.title)::text)) OR (old.refused IS DISTINCT FROM new.refused)) OR ((old.code)::text IS DISTINCT FROM (new.code)::text)) OR (old.detail IS DISTINCT FROM new.detail)) OR (old.before IS DISTINCT FROM new.before)) OR (old.after IS DISTINCT FROM new.after)) OR (old.why IS DISTINCT FROM new.why))) EXECUTE FUNCTION public.holdfast_sealed();
CREATE CONSTRAINT TRIGGER workflows_reference_attached AFTER DELETE ON public.workflows_reference DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.holdfast_attached('workflows_version', 'version_id');
CREATE TRIGGER workflows_reference_drawn AFTER INSERT ON public.workflows_reference FOR EACH ROW EXECUTE FUNCTION public.workflows_reference_drawn();
CREATE TRIGGER workflows_reference_sealed AFTER UPDATE OF version_id, node_id, callee_id, context_key ON public.workflows_reference FOR EACH ROW WHEN (((((old.version_id IS DISTINCT FROM new.version_id) OR ((old.node_id)::text IS DISTINCT FROM (new.node_id)::text)) OR (old.callee_id IS DISTINCT FROM new.callee_id)) OR (old.context_key IS DISTINCT FROM new.context_key))) EXECUTE FUNCTION public.holdfast_sealed();
CREATE TRIGGER workflows_version_sealed AFTER UPDATE OF cuid, workflow_id, number, source, checksum, entity_name, entity_name_type_id, primary_record_type_id, notes, created_at ON public.workflows_version FOR EACH ROW WHEN ((((((((((((old.cuid)::text IS DISTINCT FROM (new.cuid)::text) OR (old.workflow_id IS DISTINCT FROM new.workflow_id)) OR (old.number IS DISTINCT FROM new.number)) OR (old.source IS DISTINCT FROM new.source)) OR ((old.checksum)::text IS DISTINCT FROM (new.checksum)::text)) OR ((old.entity_name)::text IS DISTINCT FROM (new.entity_name)::text)) OR (old.entity_name_type_id IS DISTINCT FROM new.entity_name_type_id)) OR (old.primary_record_type_id IS DISTINCT FROM new.primary_record_type_id)) OR (old.notes IS DISTINCT FROM new.notes)) OR (old.created_at IS DISTINCT FROM new.created_at))) EXECUTE FUNCTION public.holdfast_sealed();
CREATE TRIGGER workflows_workflow_called AFTER UPDATE ON public.workflows_workflow FOR EACH ROW EXECUTE FUNCTION public.workflows_workflow_called();
CREATE TRIGGER workflows_workflow_sealed AFTER UPDATE OF cuid ON public.workflows_workflow FOR EACH ROW WHEN (((old.cuid)::text IS DISTINCT FROM (new.cuid)::text)) EXECUTE FUNCTION public.holdfast_sealed();
ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissio_permission_id_84c5c92e_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_b120cbf9_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_2f476e4b_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_group_id_97559544_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_6a12ed8b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permi_permission_id_1fbb5f2c_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_a95ead1b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_content_type_id_c4bce8eb_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_user_id_c564eba6_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_bulkitem
    ADD CONSTRAINT executions_bulkitem_operation_id_8c481731_fk_execution FOREIGN KEY (operation_id) REFERENCES public.executions_bulkoperation(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_bulkoperation
    ADD CONSTRAINT executions_bulkoperation_asked_by_id_170901ad_fk_auth_user_id FOREIGN KEY (asked_by_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_delivery
    ADD CONSTRAINT executions_delivery_execution_id_e201ec82_fk_execution FOREIGN KEY (execution_id) REFERENCES public.executions_execution(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_deliveryattempt
    ADD CONSTRAINT executions_deliverya_delivery_id_05006427_fk_execution FOREIGN KEY (delivery_id) REFERENCES public.executions_outgoingdelivery(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_entity
    ADD CONSTRAINT executions_entity_entity_name_type_id_e949e532_fk_workflows FOREIGN KEY (entity_name_type_id) REFERENCES public.workflows_findingtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_entity
    ADD CONSTRAINT executions_entity_inventory_model_id_630c1878_fk_execution FOREIGN KEY (inventory_model_id) REFERENCES public.executions_entity(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_entity
    ADD CONSTRAINT executions_entity_primary_record_type__cc8b8cba_fk_workflows FOREIGN KEY (primary_record_type_id) REFERENCES public.workflows_recordtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_entity_fk FOREIGN KEY (entity_id, live_key) REFERENCES public.executions_entity(id, context_key);
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_entity_id_81ae75d3_fk_executions_entity_id FOREIGN KEY (entity_id) REFERENCES public.executions_entity(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_parent_id_01d36e73_fk_execution FOREIGN KEY (parent_id) REFERENCES public.executions_execution(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_root_id_e9dc469a_fk_execution FOREIGN KEY (root_id) REFERENCES public.executions_execution(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_started_by_id_80080043_fk_auth_user_id FOREIGN KEY (started_by_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_version_fk FOREIGN KEY (version_id, workflow_id, live_key) REFERENCES public.workflows_version(id, workflow_id, held_key);
ALTER TABLE ONLY public.executions_execution
    ADD CONSTRAINT executions_execution_version_id_533f1a97_fk_workflows FOREIGN KEY (version_id) REFERENCES public.workflows_version(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_formdraft
    ADD CONSTRAINT executions_formdraft_step_id_c8836fa3_fk_executions_step_id FOREIGN KEY (step_id) REFERENCES public.executions_step(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_formdraft
    ADD CONSTRAINT executions_formdraft_user_id_dd33c5be_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_job
    ADD CONSTRAINT executions_job_step_id_8c13d028_fk_executions_step_id FOREIGN KEY (step_id) REFERENCES public.executions_step(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_pin
    ADD CONSTRAINT executions_pin_root_fk FOREIGN KEY (root_id, live) REFERENCES public.executions_execution(id, live) ON UPDATE CASCADE;
ALTER TABLE ONLY public.executions_pin
    ADD CONSTRAINT executions_pin_version_fk FOREIGN KEY (version_id, callee_id, held_key) REFERENCES public.workflows_version(id, workflow_id, held_key);
ALTER TABLE ONLY public.executions_pin
    ADD CONSTRAINT executions_pin_version_id_41179c4f_fk_workflows_version_id FOREIGN KEY (version_id) REFERENCES public.workflows_version(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_signingsecret
    ADD CONSTRAINT executions_signingse_subscription_id_e57b3f4e_fk_execution FOREIGN KEY (subscription_id) REFERENCES public.executions_subscription(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_step
    ADD CONSTRAINT executions_step_child_id_42292483_fk_executions_execution_id FOREIGN KEY (child_id) REFERENCES public.executions_execution(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_step
    ADD CONSTRAINT executions_step_closed_by_id_398f167c_fk_auth_user_id FOREIGN KEY (closed_by_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_step
    ADD CONSTRAINT executions_step_execution_id_0cf30c19_fk_execution FOREIGN KEY (execution_id) REFERENCES public.executions_execution(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_subscription
    ADD CONSTRAINT executions_subscript_entity_name_type_id_e8f431b8_fk_workflows FOREIGN KEY (entity_name_type_id) REFERENCES public.workflows_findingtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_subscription
    ADD CONSTRAINT executions_subscript_workflow_id_8773ebb7_fk_workflows FOREIGN KEY (workflow_id) REFERENCES public.workflows_workflow(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_triggeredstart
    ADD CONSTRAINT executions_triggered_entity_id_feff144e_fk_execution FOREIGN KEY (entity_id) REFERENCES public.executions_entity(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_triggeredstart
    ADD CONSTRAINT executions_triggeredstart_asked_by_id_b22d4076_fk_auth_user_id FOREIGN KEY (asked_by_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_vote
    ADD CONSTRAINT executions_vote_step_id_2a4f7afa_fk_executions_step_id FOREIGN KEY (step_id) REFERENCES public.executions_step(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.executions_vote
    ADD CONSTRAINT executions_vote_user_id_b820b49b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.knox_authtoken
    ADD CONSTRAINT knox_authtoken_user_id_e5a5d899_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_candidate
    ADD CONSTRAINT workflows_candidate_group_id_f203c288_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_candidate
    ADD CONSTRAINT workflows_candidate_user_id_65d69436_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_candidate
    ADD CONSTRAINT workflows_candidate_version_id_fc83ccc4_fk_workflows_version_id FOREIGN KEY (version_id) REFERENCES public.workflows_version(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_draftstate
    ADD CONSTRAINT workflows_draftstate_draft_id_4fa8fb99_fk_workflows FOREIGN KEY (draft_id) REFERENCES public.workflows_graphdraft(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_graphdraft
    ADD CONSTRAINT workflows_graphdraft_user_id_315000c3_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_graphdraft
    ADD CONSTRAINT workflows_graphdraft_workflow_id_d2c1f532_fk_workflows FOREIGN KEY (workflow_id) REFERENCES public.workflows_workflow(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_keptanswer
    ADD CONSTRAINT workflows_keptanswer_user_id_005958c3_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_pendingchange
    ADD CONSTRAINT workflows_pendingcha_entity_name_type_id_47fa3bab_fk_workflows FOREIGN KEY (entity_name_type_id) REFERENCES public.workflows_findingtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_pendingchange
    ADD CONSTRAINT workflows_pendingcha_primary_record_type__50cd2b40_fk_workflows FOREIGN KEY (primary_record_type_id) REFERENCES public.workflows_recordtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_pendingchange
    ADD CONSTRAINT workflows_pendingchange_asked_by_id_e4679989_fk_auth_user_id FOREIGN KEY (asked_by_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_pendingworkflow
    ADD CONSTRAINT workflows_pendingwor_change_id_6b6a0fc2_fk_workflows FOREIGN KEY (change_id) REFERENCES public.workflows_pendingchange(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_pendingworkflow
    ADD CONSTRAINT workflows_pendingwor_workflow_id_4b74d2ae_fk_workflows FOREIGN KEY (workflow_id) REFERENCES public.workflows_workflow(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_reference
    ADD CONSTRAINT workflows_reference_callee_fk FOREIGN KEY (callee_id, held_key) REFERENCES public.workflows_workflow(id, context_key);
ALTER TABLE ONLY public.workflows_reference
    ADD CONSTRAINT workflows_reference_callee_id_255bd2b8_fk_workflows_workflow_id FOREIGN KEY (callee_id) REFERENCES public.workflows_workflow(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_reference
    ADD CONSTRAINT workflows_reference_version_fk FOREIGN KEY (version_id, in_force, context_key) REFERENCES public.workflows_version(id, in_force, context_key) ON UPDATE CASCADE;
ALTER TABLE ONLY public.workflows_reference
    ADD CONSTRAINT workflows_reference_version_id_e491e850_fk_workflows_version_id FOREIGN KEY (version_id) REFERENCES public.workflows_version(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_savedfilter
    ADD CONSTRAINT workflows_savedfilter_user_id_ac931fc2_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_created_by_id_27f731ee_fk_auth_user_id FOREIGN KEY (created_by_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_entity_name_type_id_fa26de48_fk_workflows FOREIGN KEY (entity_name_type_id) REFERENCES public.workflows_findingtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_primary_record_type__013472ea_fk_workflows FOREIGN KEY (primary_record_type_id) REFERENCES public.workflows_recordtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_workflow_fk FOREIGN KEY (workflow_id, held_key) REFERENCES public.workflows_workflow(id, context_key);
ALTER TABLE ONLY public.workflows_version
    ADD CONSTRAINT workflows_version_workflow_id_02c5e5a4_fk_workflows_workflow_id FOREIGN KEY (workflow_id) REFERENCES public.workflows_workflow(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_workflow
    ADD CONSTRAINT workflows_workflow_entity_name_type_id_6952f448_fk_workflows FOREIGN KEY (entity_name_type_id) REFERENCES public.workflows_findingtype(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.workflows_workflow
    ADD CONSTRAINT workflows_workflow_primary_record_type__d5b196b7_fk_workflows FOREIGN KEY (primary_record_type_id) REFERENCES public.workflows_recordtype(id) DEFERRABLE INITIALLY DEFERRED;
