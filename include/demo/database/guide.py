"""The tables of CollabHunts, as the guide of the replaced backup function lists them."""

from typing import Final

GUIDE_TABLES: Final[tuple[str, ...]] = (
    "profiles",
    "user_roles",
    "brand_profiles",
    "creator_profiles",
    "creator_social_accounts",
    "creator_services",
    "campaigns",
    "campaign_applications",
    "bookings",
    "booking_deliverables",
    "conversations",
    "messages",
    "notifications",
    "reviews",
    "disputes",
    "payments",
    "platform_settings",
    "backup_history",
)
"""Bare names of the 18 tables of schema ``public``, in the guide's order."""
