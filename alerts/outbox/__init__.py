"""Makes every destination reflect every incident: nothing lost, and no duplicate that is not marked as one."""
