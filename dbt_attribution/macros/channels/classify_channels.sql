{#- The one ordered rule set: what channel each visit came by, and which rule said so. First match wins.

    visits  relation with visit_id, source, medium, campaign (as tagged), referrer_host (see channel_host), page_url,
            page_host, page_path, in_app_browser (a source name, see int_channel__user_agent_enrichment) and one column
            per click id of seeds/click_ids.csv with is_event_column. Any value may be null.
    hosts   relation of classify_hosts over the visits' referrer hosts and their host-like sources; a host missing from
            it counts as an unlisted site.

    Columns out: visit_id, channel, channel_reason, evidence_tier, taxonomy_version, source, medium, campaign,
    click_id_type, click_id, platform. The tables and quarrels behind the rules: docs/decisions/channel-taxonomy.md. -#}
{% macro classify_channels(visits, hosts) -%}
    {#- Ids that only an ad click carries before ids that decorate every outgoing link. -#}
    {%- set id_columns = [
        "gclid",
        "wbraid",
        "gbraid",
        "dclid",
        "msclkid",
        "ttclid",
        "twclid",
        "li_fat_id",
        "rdt_cid",
        "gad_source",
        "srsltid",
        "fbclid",
    ] -%}
    {#- Read from the landing page itself; events carry no column for these. -#}
    {%- set id_parameters = (
        "gad_campaignid|yclid|sccid|qclid|epik|igshid|igsh|awc|cjevent|irclickid"
        ~ "|mc_cid|mc_eid|_hsmi|_hsenc|_kx|vero_id|mkt_tok"
    ) -%}
    {%- set ad_click = "click_id_class= 'ad_only'" -%}
    {%- set paid = "(medium_is_paid or utm_is_paid)" -%}

    {#- rule id, channel, evidence tier, condition -#}
    {%- set rules = [] -%}
    {%- for rule in var("channel_rules") -%}
        {%- set condition = custom_rule_condition(rule) -%}
        {%- set rule_id = rule.get("id") | replace("'", "''") -%}
        {%- set channel = rule.get("channel") | replace("'", "''") -%}
        {%- do rules.append(["custom:" ~ rule_id, channel, "custom", condition]) -%}
    {%- endfor -%}
    {%- do rules.extend(
        [
            ["internal_own_domain", "Internal", "internal", "referrer_type = 'internal'"],
            ["internal_same_site", "Internal", "internal", "is_same_site"],
            [
                "click_id_cross_network",
                "Cross-network",
                "click_id",
                ad_click ~ " and is_cross_network",
            ],
            [
                "click_id_paid_shopping",
                "Paid Shopping",
                "click_id",
                ad_click
                ~ " and (utm_type = 'shopping' or campaign_is_shopping or referrer_type = 'shopping')",
            ],
            [
                "click_id_paid_video",
                "Paid Video",
                "click_id",
                ad_click
                ~ " and (utm_type = 'video' or medium_is_video or referrer_type = 'video')",
            ],
            [
                "click_id_display",
                "Display",
                "click_id",
                ad_click
                ~ " and (medium_is_display or utm_type = 'display' or referrer_type = 'display' or click_id_source_type = 'display')",
            ],
            [
                "click_id_paid_social",
                "Paid Social",
                "click_id",
                ad_click ~ " and (utm_type = 'social' or click_id_source_type = 'social')",
            ],
            ["click_id_paid_search", "Paid Search", "click_id", ad_click],
            ["utm_cross_network", "Cross-network", "utm", "is_cross_network"],
            [
                "utm_paid_shopping",
                "Paid Shopping",
                "utm",
                paid ~ " and (paid_type = 'shopping' or campaign_is_shopping)",
            ],
            ["utm_paid_search", "Paid Search", "utm", paid ~ " and paid_type = 'search'"],
            ["utm_paid_social", "Paid Social", "utm", paid ~ " and paid_type = 'social'"],
            ["utm_paid_video", "Paid Video", "utm", paid ~ " and paid_type = 'video'"],
            [
                "utm_display",
                "Display",
                "utm",
                "medium_is_display or medium = 'cpm' or (" ~ paid ~ " and paid_type = 'display')",
            ],
            ["utm_paid_other", "Paid Other", "utm", paid],
            [
                "utm_ai_assistant",
                "AI Assistant",
                "utm",
                "medium = 'ai-assistant' or campaign = '(ai-assistant)' or utm_type = 'ai'",
            ],
            [
                "utm_organic_shopping",
                "Organic Shopping",
                "utm",
                "utm_type = 'shopping' or campaign_is_shopping",
            ],
            [
                "utm_organic_social",
                "Organic Social",
                "utm",
                "utm_type = 'social' or medium in ('social', 'social-network', 'social-media', 'sm', 'social network', 'social media')",
            ],
            ["utm_organic_video", "Organic Video", "utm", "utm_type = 'video' or medium_is_video"],
            [
                "utm_organic_search",
                "Organic Search",
                "utm",
                "utm_type = 'search' or medium = 'organic'",
            ],
            ["utm_referral", "Referral", "utm", "medium in ('referral', 'app', 'link')"],
            [
                "utm_email",
                "Email",
                "utm",
                "utm_type = 'email' or medium in ('email', 'e-mail', 'e_mail', 'e mail')",
            ],
            [
                "utm_affiliates",
                "Affiliates",
                "utm",
                "medium = 'affiliate' or utm_type = 'affiliate'",
            ],
            ["utm_audio", "Audio", "utm", "medium = 'audio' or utm_type = 'audio'"],
            ["utm_sms", "SMS", "utm", "medium = 'sms' or utm_type = 'sms'"],
            [
                "utm_push",
                "Mobile Push Notifications",
                "utm",
                "utm_type = 'push' or " ~ matches("medium", "push$|mobile|notification"),
            ],
            [
                "utm_display_source",
                "Display",
                "utm",
                "utm_type = 'display'",
            ],
            [
                "utm_more_email",
                "Email",
                "utm",
                matches(
                    "medium",
                    "^(newsletter|mailing|mail|emailing|edm|crm|lifecycle)s?$|e[-_ ]?mail",
                ),
            ],
            [
                "utm_more_affiliates",
                "Affiliates",
                "utm",
                matches(
                    "medium",
                    "^(affiliates|affiliation|partner|partners|partnership|partnerships)$",
                ),
            ],
            [
                "utm_more_paid",
                "Paid Other",
                "utm",
                matches(
                    "medium",
                    "^(ad|ads|adwords|sem|sponsored|sponsorship|promoted|native|programmatic)$",
                ),
            ],
            [
                "utm_more_social",
                "Organic Social",
                "utm",
                matches("medium", "^(organic[-_ ])?social([-_ ]|$)|^influencer"),
            ],
            ["utm_more_audio", "Audio", "utm", matches("medium", "^podcast")],
            [
                "utm_more_ai",
                "AI Assistant",
                "utm",
                matches("medium", "^(ai|chatbot|llm|ai[-_ ]assistants?)$"),
            ],
            [
                "click_id_organic_shopping",
                "Organic Shopping",
                "click_id",
                "click_id_source_type = 'shopping'",
            ],
            [
                "click_id_organic_social",
                "Organic Social",
                "click_id",
                "click_id_source_type = 'social'",
            ],
            ["click_id_email", "Email", "click_id", "click_id_source_type = 'email'"],
            [
                "click_id_affiliates",
                "Affiliates",
                "click_id",
                "click_id_source_type = 'affiliate'",
            ],
            ["internal_payment", "Internal", "internal", "referrer_type = 'payment'"],
            ["internal_sso", "Internal", "internal", "referrer_type = 'sso'"],
            ["referrer_ai_assistant", "AI Assistant", "referrer", "referrer_type = 'ai'"],
            ["referrer_shopping", "Organic Shopping", "referrer", "referrer_type = 'shopping'"],
            ["referrer_social", "Organic Social", "referrer", "referrer_type = 'social'"],
            ["referrer_video", "Organic Video", "referrer", "referrer_type = 'video'"],
            ["referrer_search", "Organic Search", "referrer", "referrer_type = 'search'"],
            ["referrer_email", "Email", "referrer", "referrer_type = 'email'"],
            ["referrer_ad_network", "Display", "referrer", "referrer_type = 'display'"],
            [
                "referrer_affiliate_network",
                "Affiliates",
                "referrer",
                "referrer_type = 'affiliate'",
            ],
            [
                "referrer_unlisted",
                "Referral",
                "referrer",
                "referrer_host is not null and matched_domain is null",
            ],
            ["referrer_listed", "Referral", "referrer", "referrer_host is not null"],
            ["utm_unrecognised", "Unassigned", "utm", "has_utm"],
            ["in_app_social", "Organic Social", "in_app", "app_type = 'social'"],
            ["in_app_search", "Organic Search", "in_app", "app_type = 'search'"],
            ["in_app_video", "Organic Video", "in_app", "app_type = 'video'"],
            ["in_app_email", "Email", "in_app", "app_type = 'email'"],
            ["direct_stated", "Direct", "none", "is_stated_direct"],
            ["direct_no_evidence", "Direct", "none", "1 = 1"],
        ]
    ) -%}

    with
        tagged as (
            select
                visit_id,
                {{ stated_label("source") }} as source,
                {{ stated_label("medium") }} as medium,
                {{ stated_label("campaign") }} as campaign,
                lower(trim(source)) in ('(direct)', 'direct') as is_stated_direct,
                referrer_host,
                page_host,
                page_path,
                in_app_browser,
                coalesce(
                    case {% for id in id_columns %} when {{ id }} <> '' then '{{ id }}' {% endfor %} end,
                    case
                        when position('?' in page_url) > 0
                        then {{ extract_group("lower(page_url)", "[?&;](" ~ id_parameters ~ ")=[^&#]") }}
                    end
                ) as click_id_type,
                {#- gad_source names the ad product, not the click, so it joins to nothing. -#}
                case
                    {% for id in id_columns if id != "gad_source" %}
                        when {{ id }} <> '' then {{ id }}
                    {% endfor %}
                end as click_id
            from {{ visits }}
        ),

        named as (
            select
                *, case when position('.' in source) > 0 then {{ channel_host("source") }} end as source_host
            from tagged
        ),

        known as (
            select
                named.*,
                referrers.domain_type as referrer_type,
                referrers.domain_source as referrer_source,
                referrers.matched_domain,
                referrer_names.platform as referrer_platform,
                {#- A tag that names our own site or a till says nothing about where the visitor was before. -#}
                coalesce(
                    source_names.source_type,
                    case
                        when source_hosts.domain_type not in ('internal', 'payment', 'sso', 'referral')
                        then source_hosts.domain_type
                    end
                ) as utm_type,
                coalesce(source_names.is_paid, 'false') = 'true' as utm_is_paid,
                coalesce(source_names.platform, source_host_names.platform) as utm_platform,
                ids.click_id_class,
                ids.source_type as click_id_source_type,
                ids.source as click_id_source,
                ids.platform as click_id_platform,
                apps.source_type as app_type
            from named
            left join {{ hosts }} as referrers on named.referrer_host = referrers.host
            left join
                {{ ref("channel_sources") }} as referrer_names
                on referrers.domain_source = referrer_names.source
            left join {{ ref("channel_sources") }} as source_names on named.source = source_names.source
            left join {{ hosts }} as source_hosts on named.source_host = source_hosts.host
            left join
                {{ ref("channel_sources") }} as source_host_names
                on source_hosts.domain_source = source_host_names.source
            left join {{ ref("click_ids") }} as ids on named.click_id_type = ids.parameter
            left join {{ ref("channel_sources") }} as apps on named.in_app_browser = apps.source
        ),

        evidence as (
            select
                *,
                source is not null or medium is not null or campaign is not null as has_utm,
                coalesce(
                    {{ matches("medium", "^(.*cp.*|ppc|retargeting|paid.*)$") }}, false
                ) as medium_is_paid,
                coalesce(
                    medium in ('display', 'banner', 'expandable', 'interstitial'), false
                ) as medium_is_display,
                coalesce({{ matches("medium", "video") }}, false) as medium_is_video,
                coalesce(
                    {{ matches("campaign", "([^a-df-z]|^)shop|shopping") }}, false
                ) as campaign_is_shopping,
                coalesce(position('cross-network' in campaign) > 0, false) as is_cross_network,
                coalesce(
                    referrer_host = page_host
                    or right(page_host, length(referrer_host) + 1) = '.' || referrer_host
                    or right(referrer_host, length(page_host) + 1) = '.' || page_host,
                    false
                ) as is_same_site,
                coalesce(
                    utm_type,
                    case
                        when referrer_type in ('search', 'social', 'video', 'shopping', 'display')
                        then referrer_type
                    end,
                    click_id_source_type
                ) as paid_type
            from known
        ),

        decided as (
            select
                *,
                case
                    {% for reason, channel, tier, condition in rules -%}
                        when {{ condition }} then '{{ reason }}'
                    {% endfor %}
                end as channel_reason
            from evidence
        ),

        placed as (
            select
                *,
                case
                    channel_reason
                    {% for reason, channel, tier, condition in rules -%}
                        when '{{ reason }}' then '{{ channel }}'
                    {% endfor %}
                end as channel,
                case
                    channel_reason
                    {% for reason, channel, tier, condition in rules -%}
                        when '{{ reason }}' then '{{ tier }}'
                    {% endfor %}
                end as evidence_tier
            from decided
        )

    select
        visit_id,
        channel,
        channel_reason,
        evidence_tier,
        '{{ channel_taxonomy_version() }}' as taxonomy_version,
        coalesce(
            source,
            case evidence_tier when 'click_id' then click_id_source end,
            referrer_source,
            case evidence_tier when 'in_app' then in_app_browser end,
            '(direct)'
        ) as source,
        case
            when medium is not null
            then medium
            when evidence_tier = 'click_id' and click_id_class = 'ad_only'
            then 'cpc'
            when channel = 'Direct'
            then '(none)'
            when channel = 'Organic Search'
            then 'organic'
            when channel = 'AI Assistant'
            then 'ai-assistant'
            when channel = 'Email'
            then 'email'
            when channel = 'Organic Social'
            then 'social'
            when channel = 'Affiliates'
            then 'affiliate'
            when referrer_host is not null
            then 'referral'
            else '(not set)'
        end as medium,
        campaign,
        click_id_type,
        click_id,
        coalesce(
            click_id_platform,
            {#- A platform is claimed without its click id only where an ad was clicked. -#}
            case
                when channel like 'Paid %' or channel in ('Display', 'Cross-network')
                then coalesce(utm_platform, referrer_platform)
            end
        ) as platform
    from placed
{%- endmacro %}

{#- Written into every row, so that a change of rules can be told from a change of traffic. -#}
{% macro channel_taxonomy_version() -%} {{ "2026-10.1" }} {%- endmacro %}
