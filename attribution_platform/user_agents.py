"""What a user agent is: device, browser, operating system, bot or not, and the app around an in-app browser.

Pure: text in, frame out. Families come from the ua-parser library and its maintained lists. Bots and in-app browsers come
from the rules below, written for this project: the library names only half of the crawlers on public lists and few apps.
Meant for distinct user agents: one costs about half a millisecond, so parse each text once and join by hash.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from typing import Any

import pandas as pd

RULES_VERSION = "2026-11.1"

COLUMN_TYPES: dict[str, str] = {
    "user_agent_hash": "varchar",
    "user_agent": "varchar",
    "device_type": "varchar",
    "browser": "varchar",
    "operating_system": "varchar",
    "is_bot": "boolean",
    "is_in_app_browser": "boolean",
    "in_app_browser": "varchar",
    "parser_version": "varchar",
}


def _any_of(*groups: str) -> re.Pattern[str]:
    return re.compile("|".join(groups))


# ---- bots: every rule reads the lower-cased text ---------------------------------------------------------------------

# Parts of people's agents that carry a machine's word: phone models, a shop's name, a browser's own home page. A model stands
# between the Android version (and language) and the next semicolon or bracket; makers sell phones named Cubot, M Bot, Spider.
_INNOCENT = _any_of(
    r"cubot[ _-]?\w*",
    r"(?<=; )android [\d.]+; (?:[a-z]{2}[-_][a-z]{2}; )?[^;()]*(?:bot\b|spider)[^;()]*(?=[;)])",
    r"(?<=; )[^;()]*(?= build/)",
    r"build/[^;) ]*",
    r"\.net clr [\d.]+",
    r"feedback|searchbar|search toolbar|qqdownload|\w*webengine|mozacfetch",
    r"duckduckgo/\d+|pinterestbot(?=/ios)",
    # a browser's own name and the placeholder brand of Chrome's client hints
    r"\b\w*browser\b|\binternet explorer|\bnot[^a-z]a[^a-z]brand",
    r"embedded ?web ?browser[^;)]*|tuneup html client|embeddedwb[^;)]*|https?://bsalsa\.com[^;)]*",
    r"https?://www\.(?:xbmc|kodi)\.(?:org|tv)[^)]*",
)

# What machines call themselves. Believed in any agent, an imitated phone's included.
_MACHINE = _any_of(
    r"bot(?![a-z])|bots\b|[a-z]bot(?:s|er|ics?|ty)?\b|robot|crawl|spider|spyder|slurp|scrap[eiy]|sniff|harvest",
    r"archiv|headless|phantomjs|selenium|cypress/|puppeteer|playwright|webdriver|slimerjs|htmlunit|wkhtml",
    r"lighthouse|page ?speed|gtmetrix|ptst\b|pingdom|uptime|statuscake|synthetic|dareboost|catchpoint",
    r"gomez|neustar|debugbear",
    r"preview|thumb(?:nail|shot|or)|screen-?shot|snapshot|websnap|unfurl|iframely|embed(?:ly|er)",
    r"metauri|favicon|imgsizer",
    r"-google\b|google-|google(?:other|producer|weblight|docs|bot|messages)|apis-google|mediapartners",
    r"adsbot|feedfetcher",
    r"externalhit|externalagent|facebookcatalog|meta-external|(?:^|\()whatsapp/\d",
    r"validat|monitor|wechatdevtools|like gecko; |like gecko, (?!safari)[a-z]",
    r"\banonymous\b|adbeat|censys|shodan|scope3",
    r"downloader/|httpscheck|extractor/|tester/|newsblur/|httrack|nutch|heritrix|larbin|ia_archiver",
    r"python|urllib|aiohttp|libwww-perl|go-http|node-fetch|\bcurl/|\bwget",
)

# Words that also name people's phone apps (a scanner, a wallet, a job search): believed only outside a phone's agent.
_TOOL = _any_of(
    # fetching and indexing
    r"index(?:er|ing)|\bindex|fetch|download|grab|\bsuck|scrap|scoop|extract|collect|gather|walker",
    r"\bworm|hunter|digger|miner\b",
    r"mirror|offline|teleport|webcopier|copier|mechanize|jeeves|capture|search|seek|finder|discover",
    r"explorer/|locator|archive",
    # measuring and testing
    r"speed ?(?:index|curve|test|insights|demon)|\bping|check|test(?:er|ing|locally)",
    r"\bload(?:impact|er|test)|siege|jmeter|bench",
    r"monit|webmon|probe|status|analy[sz]|audit|inspect|report|metric|optimi[sz]|verif|grader|rigor",
    r"dejaclick|hardenize|silktide",
    r"w3c[ _-]|link ?tiger|criticalcss|keyword|semantic|classif|readable|collapsify|marketgoo|hotjar",
    r"newrelic|datadog",
    # security
    r"scan|nmap|nikto|sqlmap|masscan|zgrab|nuclei|nessus|qualys|openvas|burp|exploit|vulnerab",
    r"security|abuse|watchtowr|foregenix",
    r"complian|plagi|copyright|brand|reputation|survey|research|intelli|evidence|policy",
    # feeds and mail fetchers
    r"feed|rss|syndic|aggregat|news ?(?:reader|blur|now)|\breader|podcast|atomshell",
    # libraries and plumbing
    r"agent(?![a-z])|engine\b|worker|daemon|library|\bclient\b|toolkit|proxy|gateway|transcod",
    r"translat|cache|render|splash",
    r"httpx|http[_-]?(?:client|request|lib|unit|get|kit|ful)|\bhttp\b|libwww|lwp|requests|perl|ruby",
    r"\bjava/|jakarta|\bphp|curb",
    r"golang|okhttp|axios|node(?:\.js)?[/ ]|nodejs|\bgot/|guzzle|winhttp|reqwest|undici|postman|insomnia|mapper",
    # services
    r"yandex(?!search|browser|mobile)[a-z]|baidu(?!boxapp|browser|hd)",
    r"sogou (?:web|pic|news|inst|head|orion)|mail\.ru/|yahoo!",
    r"daum(?:oa)?[/ ]\d|\bseo|majestic|wappalyzer|builtwith|netcraft|semrush|wordpress|drupal|joomla",
    r"magento|typo3|hubspot",
    r"domain|hosting|whois|\bdns|\bssl\b|certificate|cloudflare|akamai|amazonaws|fastly|webmaster",
    r"site(?:map|lock|improve)|manus",
)

# A way to reach the operator. People's agents carry none.
_CONTACT = _any_of(
    r"https?:",
    r"\bwww\.[a-z0-9-]+\.[a-z]",
    r"[\w.+-]+(?:@|\[at\]|\(at\))[\w-]+\.[a-z]{2,}",
    r"\b[\w-]+ at [\w-]+ (?:dot|\[dot\]) [a-z]{2,}",
    r"\+[a-z0-9-]+\.[a-z]{2,}",
)

# A phone, a tablet, or a browser older than most bots.
_PEOPLES_DEVICE = _any_of(
    r"android|iphone|ipad|ipod|windows phone|blackberry|nokia|midp|ucweb|series ?60|symbian|naver\(",
    r"cfnetwork/",
    r"lynx/|mosaic/|goggalaxy|viber\b|camino|seamonkey|elinks|w3m",
)

# Keypad phones, by what their browsers run on, and televisions, by their standards (HbbTV, CEA-2014, Net TV, Hybridcast, DLNA,
# the OIPF capability list) and platforms. No bot claims to be either.
_APPLIANCE = _any_of(
    r"up\.browser|wap[ _-]?browser|\bwap[12]\.\d|\bmaui\b|\bmre/|obigo|teleca|netfront|jig browser|ucbrowser|profile/\d",
    r"smart-?tv|hbbtv|ce-html|net ?tv\b|hybridcast|dlnadoc|\bdtv\b|kreatv|youview|avui/tv|\broku\b|tvos|viera|vizios|brightsign",
)

# How people's agents begin.
_PEOPLES_START = _any_of(
    r"^(?:mozill|opera|\[fban|outlook|postbox|thunderbird|voyager|onebrowser|pinterest/|dalvik|ucweb)",
    r"^(?:applewebkit|mobilesafari|safari|com\.apple|springboard|networkingextension|microsoft office)",
    r"^(?:(?:word|excel|powerpoint)/|mozacfetch)",
    r"^(?:blackberry|nokia|sonyericsson|samsung|sec-|lg[-/ e]|mot[-o]|htc|zte|huawei|alcatel|sagem|sharp)",
    r"^(?:sanyo|sie-|panasonic|philips)",
    r"^(?:pantech|benq|vodafone|docomo|kddi|softbank|j-phone|portalmmm|palm|oppo|vivo|xiaomi|lenovo|tcl)",
    r"^(?:hisense|untrusted/)",
    r"^(?:lynx|links \(|elinks|w3m|netsurf|dillo|icab|ibrowse|amiga|\w*mosaic/|netscape|konqueror|galeon)",
    r"^(?:camino|seamonkey|fennec)",
    r"^(?:roku|appletv|playstation|ps[345]application|nintendo|xbox|xbmc|kodi|vlc|itunes|spotify|hulu)",
    r"^(?:netflix|sonos|linux upnp|goggalaxy)",
    r"^(?:quicktime|applecoremedia|stagefright|windows-media|nsplayer|winamp|googleapp/)",
    r"^(?:[a-z ]+/[\d.]+ \(?(?:android|iphone|ios|linux; ?android))",
    # a browser by its bare name
    r"^(?:[a-z]+[ .])*\w*browser[ /]\S*\d|^(?:firefox|chrome|brave|midori|vivaldi|omniweb|bonecho)[ /]",
)
_APP = _any_of(
    r"cfnetwork/|darwin/|\(linux; ?(?:u; ?)?android|android[ /;)]|iphone|ipad|ipod|\bios[ /]?\d",
    r"windows phone|j2me|midp|watch ?os\b|\bwatch\d,\d|openharmony|harmonyos|nintendo|libvlc/",
    r"\[mac ?os",
)
_PLATFORM = _any_of(
    r"windows|win(?:9[58x]|32|64|ce|nt)|macintosh|mac_|mac ?os|linux|x11|android|iphone|ipad|ipod|symb",
    r"series ?[46]0|s60|cros |bsd|sunos",
    r"solaris|irix|aix|hp-ux|os/2|beos|haiku|amiga|morphos|aros|risc os|syllable|qnx|playstation",
    r"nintendo|xbox|blackberry|bb10",
    r"playbook|we?b0?os|tizen|bada|kaios|msie|trident|palm|java|j2me|midp|konqueror|netcast|bravia",
    r"viera|maemo|meego|kindle|mobile",
    r"tablet|\btv\b|nokia|brew|cygwin|opera|crkey|charon|unix|gecko/|us-government|platform; rv",
    r"ms-?office|version/[\d.]+ safari/|openharmony|harmonyos|serenityos|\(ps[345]\)",
)
# A single bare word, such as "chrome" or "ipad", is nobody's browser; "iPhoneXS" is an app's way to say its device.
_BARE = re.compile(r"^(?!i(?:phone|pad|pod).)[a-z]+$")


def _is_bot(text: str) -> bool:
    rest = _INNOCENT.sub(" ", text)
    if _MACHINE.search(rest) or _CONTACT.search(rest) or _BARE.match(text):
        return True
    if _APPLIANCE.search(text):
        return False
    if not _PEOPLES_DEVICE.search(text) and _TOOL.search(rest):
        return True
    if not _PEOPLES_START.match(text) and not _APP.search(text):
        return True
    return text.startswith("mozilla") and not _PLATFORM.search(text)


# ---- in-app browsers -------------------------------------------------------------------------------------------------

# Ordered: an app's own mark before its family's, `webview` last. Names are those of seeds/channel_sources.csv.
_APPS: tuple[tuple[str, str], ...] = (
    ("instagram", r"\binstagram \d|\binstagram\b.*scale="),
    ("threads", r"\bbarcelona \d"),
    ("messenger", r"messengerforios|messengerlite|fb_iab/messenger|orca-android|fban/mess"),
    ("facebook", r"fban/|fbav/|fb_iab/|fbios|metaiab|\[fb"),
    ("tiktok", r"musical_ly|bytedancewebview|bytelocale|\btrill_|\btiktok|aweme"),
    ("linkedin", r"linkedinapp"),
    ("pinterest", r"\[?pinterest/|pinterest for"),
    ("snapchat", r"\bsnapchat[/ ]"),
    ("twitter", r"twitter for |twitterandroid|\[?twitter/"),
    ("reddit", r"\breddit/|reddit for |\bredditandroid"),
    ("wechat", r"micromessenger"),
    ("weibo", r"\bweibo\b|weibo__"),
    ("qq", r"\bqq/\d"),
    ("line", r"\bline/\d"),
    ("kakaotalk", r"kakaotalk"),
    ("naver", r"naver\(inapp"),
    ("whatsapp", r"waios/|wa4a/|\bwhatsapp/\d.*(?:mozilla|webkit)"),
    ("telegram", r"telegram-android|telegram-ios|\btelegram/\d"),
    ("viber", r"\bviber\b"),
    ("discord", r"\bdiscord/\d"),
    ("slack", r"\bslack(?:_ssb)?/\d"),
    ("microsoft teams", r"\bteams(?:mobile)?[-/]\d|teamsmobile"),
    ("vk", r"\bvkandroidapp|\bvkclient|\bvk-?app"),
    ("quora", r"\bquora \d|quora/"),
    ("flipboard", r"\bflipboard[/-]"),
    ("google", r"\bgsa/\d|googleapp/"),
    ("duckduckgo app", r"duckduckgo/\d(?!.*version/.*safari/.*ddg)"),
    ("baidu", r"baiduboxapp"),
    ("yahoo", r"yahoomobile|yjapp"),
)
_APP_RULES = tuple((name, re.compile(pattern)) for name, pattern in _APPS)
# Android writes `wv` into every embedded view since 5.0 and `Version/4.0 Chrome/…` since 4.4, desktop apps name Electron, and
# iOS views leave out the Safari token that every browser carries.
_EMBEDDED = _any_of(
    r"; ?wv[);]",
    r"android.*version/\d\.\d (?:mobile )?chrome/|crosswalk/\d",
    r"\belectron/\d|embeddedbrowser|\bwebview|[a-z]webview/\d",
)
_IOS_VIEW = re.compile(r"(?:iphone|ipad|ipod).*applewebkit/")
_IOS_BROWSER = re.compile(r"safari/|opt/")
# Whole browsers are built on such views too; they give their own name.
_OWN_BROWSER = re.compile(
    r"(?<!embedded)browser(?:lite)?/\d|\bopr/\d|\bopios/|\btv bro/|maxthon|ecosia|\bbrave\b|sleipnir|quark/\d|liebaofast"
)


def _in_app_browser(text: str) -> str | None:
    for name, rule in _APP_RULES:
        if rule.search(text):
            return name
    if _OWN_BROWSER.search(text):
        return None
    if _EMBEDDED.search(text) or (_IOS_VIEW.search(text) and not _IOS_BROWSER.search(text)):
        return "webview"
    return None


# ---- devices ---------------------------------------------------------------------------------------------------------

_TABLET = re.compile(
    r"ipad|tablet(?! pc)|kindle|silk/(?!.*mobile)|playbook|nexus (?:7|9|10)\b|\bsm-[tx]\d|\bgt-p\d|transformer"
)
_MOBILE = re.compile(
    r"iphone|ipod|mobile|windows phone|blackberry|bb10|opera m(?:ini|obi)|midp|symb|series ?60|nokia|kaios|ucweb|phone"
)
_OTHER = re.compile(
    r"smart-?tv|\btv\b|appletv|roku|playstation|xbox|nintendo|crkey|netcast|bravia|web0s|hbbtv|aft[a-z]\w* build"
)
_DESKTOP = re.compile(r"windows|macintosh|mac os x|linux|x11|cros |bsd|sunos|darwin|konqueror|msie")


def _device_type(text: str, is_bot: bool) -> str:
    if is_bot:
        return "bot"
    if _OTHER.search(text):
        return "other"
    if _TABLET.search(text) or ("android" in text and "mobile" not in text and "firefox" not in text):
        return "tablet"
    if _MOBILE.search(text) or "android" in text:
        return "mobile"
    return "desktop" if _DESKTOP.search(text) else "other"


# ---- the frame -------------------------------------------------------------------------------------------------------


@cache
def _library() -> tuple[Any, str]:
    # Imported here: loading its rules costs 0.3 s that `attribution --help` should not pay.
    import ua_parser

    versions = "+".join(metadata.version(name) for name in ("ua-parser", "ua-parser-builtins"))
    return ua_parser.parse, f"ua-parser {versions}; rules {RULES_VERSION}"


# Characters of a user agent that are read. The rules take time that grows with the square: 30 agents of 10,000 random
# characters held a run up for 28 s, and one of 300,000 for ever.
LONGEST = 1024


def parse_user_agents(user_agents: Iterable[str | None]) -> pd.DataFrame:
    """One row per distinct user agent, in order of first appearance; empty and null texts are left out.

    Columns are those of `COLUMN_TYPES`: `user_agent_hash` is the md5 of the text as given, `device_type` one of desktop,
    mobile, tablet, bot, other; `in_app_browser` is a source name, `webview` for an unknown app, null outside one. A bot is
    never an in-app browser.
    """
    parse, version = _library()
    rows = []
    for user_agent in dict.fromkeys(text for text in user_agents if isinstance(text, str) and text.strip()):
        text = user_agent.strip().lower()[:LONGEST]
        known = parse(user_agent[:LONGEST])
        is_bot = _is_bot(text)
        app = None if is_bot else _in_app_browser(text)
        rows.append(
            (
                hashlib.md5(user_agent.encode(), usedforsecurity=False).hexdigest(),
                user_agent,
                _device_type(text, is_bot),
                known.user_agent.family if known.user_agent else None,
                known.os.family if known.os else None,
                is_bot,
                app is not None,
                app,
                version,
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMN_TYPES))
