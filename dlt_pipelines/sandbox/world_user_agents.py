"""The browsers, in-app browsers and bots that visit the sandbox shop."""

from __future__ import annotations

from typing import NamedTuple


class UserAgent(NamedTuple):
    """One user agent. ``app`` is the in-app browser's app, or empty; ``weight`` its relative frequency."""

    kind: str
    browser: str
    operating_system: str
    app: str
    weight: float
    text: str


_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
_IPHONE_18 = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X)"
_IPHONE_17 = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X)"
_IPAD = "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X)"
_ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
_PIXEL = "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP4A.250205.002; wv)"
_GALAXY = "Mozilla/5.0 (Linux; Android 14; SM-S921B Build/UP1A.231005.007; wv)"
_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_WV = "Version/4.0 Chrome/138.0.7204.63 Mobile Safari/537.36"

BROWSERS: tuple[UserAgent, ...] = (
    UserAgent("desktop", "Chrome", "Windows", "", 30, f"{_WINDOWS} {_KIT} Chrome/138.0.0.0 Safari/537.36"),
    UserAgent("desktop", "Chrome", "Windows", "", 8, f"{_WINDOWS} {_KIT} Chrome/137.0.0.0 Safari/537.36"),
    UserAgent("desktop", "Edge", "Windows", "", 10, f"{_WINDOWS} {_KIT} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0"),
    UserAgent(
        "desktop",
        "Firefox",
        "Windows",
        "",
        6,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    UserAgent("desktop", "Opera", "Windows", "", 2, f"{_WINDOWS} {_KIT} Chrome/136.0.0.0 Safari/537.36 OPR/120.0.0.0"),
    UserAgent("desktop", "Chrome", "Macintosh", "", 12, f"{_MAC} {_KIT} Chrome/138.0.0.0 Safari/537.36"),
    UserAgent("desktop", "Safari", "Macintosh", "", 14, f"{_MAC} {_IKIT} Version/18.5 Safari/605.1.15"),
    UserAgent("desktop", "Safari", "Macintosh", "", 5, f"{_MAC} {_IKIT} Version/17.6 Safari/605.1.15"),
    UserAgent(
        "desktop",
        "Firefox",
        "Macintosh",
        "",
        3,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    UserAgent("desktop", "Chrome", "Linux", "", 3, f"{_LINUX} {_KIT} Chrome/138.0.0.0 Safari/537.36"),
    UserAgent(
        "desktop", "Firefox", "Linux", "", 3, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    ),
    UserAgent(
        "desktop",
        "Chrome",
        "Chrome OS",
        "",
        1,
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_KIT} Chrome/138.0.0.0 Safari/537.36",
    ),
    UserAgent("mobile", "Safari", "iOS", "", 30, f"{_IPHONE_18} {_IKIT} Version/18.6 Mobile/15E148 Safari/604.1"),
    UserAgent("mobile", "Safari", "iOS", "", 12, f"{_IPHONE_17} {_IKIT} Version/17.5 Mobile/15E148 Safari/604.1"),
    UserAgent("mobile", "Chrome", "iOS", "", 5, f"{_IPHONE_18} {_IKIT} CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1"),
    UserAgent("mobile", "Firefox", "iOS", "", 2, f"{_IPHONE_17} {_IKIT} FxiOS/140.0 Mobile/15E148 Safari/605.1.15"),
    UserAgent("mobile", "Chrome", "Android", "", 34, f"{_ANDROID} {_KIT} Chrome/138.0.0.0 Mobile Safari/537.36"),
    UserAgent("mobile", "Chrome", "Android", "", 8, f"{_ANDROID} {_KIT} Chrome/136.0.0.0 Mobile Safari/537.36"),
    UserAgent(
        "mobile",
        "Samsung Internet",
        "Android",
        "",
        9,
        f"{_ANDROID} {_KIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
    ),
    UserAgent(
        "mobile", "Firefox", "Android", "", 3, "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
    ),
    UserAgent(
        "mobile", "Edge", "Android", "", 2, f"{_ANDROID} {_KIT} Chrome/138.0.0.0 Mobile Safari/537.36 EdgA/138.0.0.0"
    ),
    UserAgent("tablet", "Safari", "iOS", "", 10, f"{_IPAD} {_IKIT} Version/17.6 Mobile/15E148 Safari/604.1"),
    UserAgent(
        "tablet",
        "Chrome",
        "Android",
        "",
        6,
        f"Mozilla/5.0 (Linux; Android 13; SM-X200) {_KIT} Chrome/138.0.0.0 Safari/537.36",
    ),
)

# In-app browsers: the app opens the link inside itself and often drops the referrer.
IN_APP: tuple[UserAgent, ...] = (
    UserAgent(
        "mobile",
        "Instagram",
        "iOS",
        "instagram",
        8,
        f"{_IPHONE_18} {_IKIT} Mobile/22G86 Instagram 389.0.0.29.87 (iPhone15,2; iOS 18_6; de_DE; de; scale=3.00; "
        "1179x2556; 745421222)",
    ),
    UserAgent(
        "mobile",
        "Instagram",
        "Android",
        "instagram",
        8,
        f"{_PIXEL} {_KIT} {_WV} Instagram 389.0.0.41.86 Android (35/15; 420dpi; 1080x2205; Google; Pixel 8; shiba; "
        "shiba; de_DE; 745421349)",
    ),
    UserAgent(
        "mobile",
        "Facebook",
        "iOS",
        "facebook",
        7,
        f"{_IPHONE_18} {_IKIT} Mobile/22G86 [FBAN/FBIOS;FBAV/520.0.0.38.101;FBBV/757093459;FBDV/iPhone14,5;FBMD/iPhone;"
        "FBSN/iOS;FBSV/18.6;FBSS/3;FBCR/;FBID/phone;FBLC/de_DE;FBOP/80]",
    ),
    UserAgent(
        "mobile",
        "Facebook",
        "Android",
        "facebook",
        7,
        f"{_GALAXY} {_KIT} {_WV} [FB_IAB/FB4A;FBAV/520.0.0.44.99;IABMV/1;]",
    ),
    UserAgent(
        "mobile",
        "Messenger",
        "iOS",
        "messenger",
        2,
        f"{_IPHONE_17} {_IKIT} Mobile/21F90 [FBAN/MessengerForiOS;FBAV/512.0.0.28.107;FBBV/751123456;FBDV/iPhone13,2;"
        "FBMD/iPhone;FBSN/iOS;FBSV/17.5.1;FBSS/3;FBID/phone;FBLC/de_DE;FBOP/5]",
    ),
    UserAgent(
        "mobile", "LinkedIn", "iOS", "linkedin", 3, f"{_IPHONE_18} {_IKIT} Mobile/15E148 [LinkedInApp]/9.31.2441"
    ),
    UserAgent("mobile", "LinkedIn", "Android", "linkedin", 3, f"{_GALAXY} {_KIT} {_WV} [LinkedInApp]/4.1.1086"),
    UserAgent(
        "mobile",
        "TikTok",
        "iOS",
        "tiktok",
        3,
        f"{_IPHONE_18} {_IKIT} Mobile/15E148 musical_ly_40.2.0 JsSdk/2.0 NetType/WIFI Channel/App Store "
        "ByteLocale/de Region/DE FalconTag/ABCDEF",
    ),
    UserAgent(
        "mobile",
        "TikTok",
        "Android",
        "tiktok",
        3,
        f"{_GALAXY} {_KIT} {_WV} trill_400203 JsSdk/1.0 NetType/WIFI Channel/googleplay AppName/musical_ly "
        "app_version/40.2.3 ByteLocale/de Region/DE",
    ),
    UserAgent("mobile", "Pinterest", "iOS", "pinterest", 2, f"{_IPHONE_17} {_IKIT} Mobile/21F90 [Pinterest/iOS]"),
    UserAgent("mobile", "Pinterest", "Android", "pinterest", 2, f"{_PIXEL} {_KIT} {_WV} [Pinterest/Android]"),
    UserAgent(
        "mobile",
        "Snapchat",
        "iOS",
        "snapchat",
        2,
        f"{_IPHONE_18} {_IKIT} Mobile/22G86 Snapchat/13.48.0.45 (like Safari/8621.3.11.10.3, panda)",
    ),
    UserAgent("mobile", "X", "iOS", "x", 2, f"{_IPHONE_18} {_IKIT} Mobile/22G86 Twitter for iPhone/11.6"),
    UserAgent("mobile", "X", "Android", "x", 2, f"{_PIXEL} {_KIT} {_WV} TwitterAndroid"),
    UserAgent(
        "mobile",
        "Google app",
        "iOS",
        "google",
        2,
        f"{_IPHONE_18} {_IKIT} GSA/376.0.775650100 Mobile/15E148 Safari/604.1",
    ),
    UserAgent("mobile", "Reddit", "iOS", "reddit", 1, f"{_IPHONE_18} {_IKIT} Mobile/15E148 Reddit/Version 2025.24.0"),
    UserAgent(
        "mobile", "WeChat", "Android", "wechat", 1, f"{_GALAXY} {_KIT} {_WV} MicroMessenger/8.0.60.2860(0x28003C3F)"
    ),
)

BOTS: tuple[UserAgent, ...] = tuple(
    UserAgent("bot", name, "", "", weight, text)
    for name, weight, text in (
        ("Googlebot", 6, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        ("Bingbot", 4, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
        ("AhrefsBot", 4, "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"),
        ("SemrushBot", 3, "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)"),
        (
            "GPTBot",
            4,
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        ),
        (
            "ClaudeBot",
            3,
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
        ),
        ("facebookexternalhit", 3, "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
        ("HeadlessChrome", 3, f"{_LINUX} {_KIT} HeadlessChrome/138.0.0.0 Safari/537.36"),
        ("python-requests", 2, "python-requests/2.32.4"),
        ("curl", 1, "curl/8.9.1"),
        ("UptimeRobot", 2, "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"),
    )
)
