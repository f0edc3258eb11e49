{#- What kind of site each host is. `hosts` is a relation with a column `host` (see channel_host); duplicates and nulls are
    fine. Columns out: host, domain_type, domain_source, matched_domain.

    A host belongs to the longest listed domain that it equals or is a subdomain of, compared label by label: every listed
    domain has at most `labels` labels, so the host's last 2, 3, … labels are looked up as they are. `google.*` in the list
    stands for google under any country's domain (google.de, google.co.uk). Matching substrings instead has put
    microsoft.com under t.co and dropbox.com under x.com in other tools. -#}
{% macro classify_hosts(hosts, labels=6) -%}
    with
        distinct_hosts as (select distinct host from {{ hosts }} where host is not null),

        country_parts as (
            select
                host,
                {{ extract_group("host", "([.]((co|com|net|org|ne|or|ac|go|gob|gov|edu)[.])?[a-z][a-z])$") }}
                as country
            from distinct_hosts
        ),

        spellings as (
            select host, host as spelling, 0 as hidden_length
            from country_parts

            union all

            select
                host,
                substr(host, 1, length(host) - length(country)) || '.*' as spelling,
                length(country) - 2 as hidden_length
            from country_parts
            where country is not null
        ),

        tails as (
            {% for count in range(2, labels + 1) %}
                select
                    host,
                    hidden_length,
                    {{
                        extract_group(
                            "spelling",
                            "(" ~ "[^.]+[.]" * (count - 1) ~ "[^.]+)$",
                        )
                    }} as tail
                from spellings
                {% if not loop.last %}
                    union all
                {% endif %}
            {% endfor %}
        ),

        listed as (
            select tails.host, known.domain, known.source, known.domain_type
            from tails
            inner join {{ ref("referrer_domain_mapping") }} as known on tails.tail = known.domain
            qualify
                row_number() over (
                    partition by tails.host
                    order by length(tails.tail) + tails.hidden_length desc, tails.hidden_length, known.domain
                )
                = 1
        )

    select
        distinct_hosts.host,
        case
            {% for domain in var("own_domains") %}
                {% set own = domain | lower | replace("'", "''") %}
                when distinct_hosts.host = '{{ own }}' or distinct_hosts.host like '%.{{ own }}'
                then 'internal'
            {% endfor %}
            when listed.domain_type is not null
            then listed.domain_type
            else 'referral'
        end as domain_type,
        coalesce(listed.source, distinct_hosts.host) as domain_source,
        listed.domain as matched_domain
    from distinct_hosts
    left join listed on distinct_hosts.host = listed.host
{%- endmacro %}
