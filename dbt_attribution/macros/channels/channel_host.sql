{#- Pure SQL helpers of the channel rules. Patterns are POSIX extended: Snowflake knows neither (?:…) nor look-around. -#}
{#- What tools write where a label is missing, PostHog's "$direct" and GA4's "(direct)" included. The dollar stands apart
    because a client that knows session variables would look for one of that name. -#}
{% macro stated_label(value) -%}
    case
        when
            lower(trim({{ value }})) not in (
                '',
                '-',
                {#- In two parts: the Snowflake connector reads `$name` as a session variable, quoted or not. -#}
                '$' || 'direct',
                '(data not available)',
                '(direct)',
                '(none)',
                '(not set)',
                '(null)',
                'about:blank',
                'about:client',
                'direct',
                'nan',
                'none',
                'null',
                'undefined'
            )
        then lower(trim({{ value }}))
    end
{%- endmacro %}

{#- Host of a referrer as the browser, an app or an analytics tool wrote it: a URL, a bare domain, android-app://package.
    Lower case, without port, user, leading www and trailing dot; null where there is none. Three assistants live under a
    path of another service's host and are given a host of their own, so that everything after this needs hosts only. -#}
{% macro channel_host(value) -%}
    case
        when
            {{ matches("lower(" ~ value ~ ")", "^([a-z]+://)?([^/?#]*[.])?(x|twitter)[.]com(:[0-9]+)?/i/grok([/?#]|$)") }}
        then 'grok.com'
        when
            {{ matches("lower(" ~ value ~ ")", "^([a-z]+://)?([^/?#]*[.])?bing[.]com(:[0-9]+)?/chat([/?#]|$)") }}
        then 'copilot.microsoft.com'
        when {{ matches("lower(" ~ value ~ ")", "^([a-z]+://)?huggingface[.]co/chat([/?#]|$)") }}
        then 'chat.huggingface.co'
        else
            nullif(
                regexp_replace(
                    {{
                        extract_group(
                            "regexp_replace(regexp_replace(regexp_replace("
                            ~ stated_label(value)
                            ~ ", '^([a-z][a-z0-9+.-]*:)?//', ''), '^[^/@?#]*@', ''), '^www[.]', '')",
                            "^([^/:?#]+)",
                        )
                    }},
                    '[.]+$',
                    ''
                ),
                ''
            )
    end
{%- endmacro %}
