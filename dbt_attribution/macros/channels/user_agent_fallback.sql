{#- What plain SQL can tell from a user agent. Only a stand-in for user agents the Python parser has not seen yet
    (a bare `dbt build`, or a first run): the parser's rules are the ones measured, these stay coarse on purpose.
    `text` is the lower-cased user agent. No (?:…) and no look-around: Snowflake takes neither. -#}
{% macro user_agent_looks_like_bot(text) -%}
    (
        {{ text }} is not null
        and {{ text }} not like '%cubot%'
        and (
            {{
                matches(
                    text,
                    "bot|crawl|spider|slurp|scrap|headless|phantomjs|lighthouse|monitor|preview|validator|facebookexternalhit",
                )
            }}
            or
            {{
                matches(
                    text,
                    "^(whatsapp|curl|wget|python|java|go-http|okhttp|axios|node|ruby|php|perl|libwww|apache-http|postman|dart)",
                )
            }}
            or {{ matches(text, "[+]https?://") }}
        )
    )
{%- endmacro %}

{% macro user_agent_device_type(text) -%}
    case
        when {{ user_agent_looks_like_bot(text) }}
        then 'bot'
        when {{ matches(text, "ipad|tablet|kindle|silk/|playbook") }}
        then 'tablet'
        when {{ text }} like '%android%' and {{ text }} not like '%mobile%'
        then 'tablet'
        when {{ matches(text, "iphone|ipod|android|mobile|windows phone") }}
        then 'mobile'
        when {{ matches(text, "windows|macintosh|mac os x|linux|x11|cros ") }}
        then 'desktop'
        else 'other'
    end
{%- endmacro %}

{#- Lower-case source name of the app, as in seeds/channel_sources.csv; null outside an app. -#}
{% macro user_agent_in_app_browser(text) -%}
    case
        when {{ text }} like '%instagram%'
        then 'instagram'
        when {{ text }} like '%barcelona %'
        then 'threads'
        when {{ matches(text, "messengerforios|fb_iab/messenger") }}
        then 'messenger'
        when {{ matches(text, "fban/|fbav/|fb_iab/|metaiab") }}
        then 'facebook'
        when {{ matches(text, "musical_ly|bytedance|trill") }}
        then 'tiktok'
        when {{ text }} like '%linkedinapp%'
        then 'linkedin'
        when {{ matches(text, "pinterest/|pinterest for") }}
        then 'pinterest'
        when {{ text }} like '%snapchat%'
        then 'snapchat'
        when {{ text }} like '%twitter for%'
        then 'twitter'
        when {{ text }} like '%micromessenger%'
        then 'wechat'
        when {{ matches(text, "[ ]line/[0-9]") }}
        then 'line'
        when {{ matches(text, "waios/|wa4a/") }}
        then 'whatsapp'
        when {{ text }} like '%gsa/%'
        then 'google'
        when {{ text }} like '%; wv)%'
        then 'webview'
    end
{%- endmacro %}
